"""What the reference association does beyond the contract of all back-ends: numbers, notices, acts."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.sandbox.association.association import ReferenceAssociation
from gateway.formats.agreement_notices import read_notice
from gateway.formats.signatures import verify_enveloped
from gateway.formats.xml import parse, trusted
from gateway.model.agreements import (
    LIFE,
    Act,
    Agreement,
    AgreementKind,
    AgreementNotice,
    AgreementSide,
    AgreementState,
    IllegalAct,
)
from gateway.model.answer import Answer
from gateway.model.delivery import Outcome
from gateway.model.states import CustomsStatus
from gateway.respond.answer import read
from tests.support.keys import xmlsec1_accepts
from tests.support.submissions import (
    ASSOCIATION,
    BROKER,
    CONFIRMING,
    NOW,
    REQUEST,
    TRADER,
    PackagedSubmission,
    agreement_request,
    given_answers,
    reference_association,
    sent,
)
from tests.support.validating import families

NUMBER = "20260000000000001"


@pytest.fixture
def association(tmp_path: Path) -> Iterator[ReferenceAssociation]:
    with closing(reference_association(tmp_path)) as opened:
        yield opened


def requested(facts: dict[str, str]) -> PackagedSubmission:
    """A sound request but for these facts."""
    return sent(subject=replace(REQUEST, facts={**REQUEST.facts, **facts}))


def signed_notice(answer: Answer) -> AgreementNotice:
    """What a notice says, once it is certain that the association signed it and that its schema holds."""
    root = parse(answer.body)
    kind = families().recognise(root)
    assert (kind.name, kind.kind) == ("AgreementNotice", "agreement-notice")
    assert kind.signed
    assert kind.schema.validate(root)
    return read_notice(verify_enveloped(root, (ASSOCIATION.registered,), NOW).root)


def notices(association: ReferenceAssociation) -> list[AgreementNotice]:
    return [
        signed_notice(answer)
        for answer in given_answers(association)
        if answer.name.startswith("AgreementNotice_")
    ]


def acts(association: ReferenceAssociation) -> list[str]:
    return [str(notice.act) for notice in notices(association)]


def test_a_request_is_numbered_proposed_and_confirmed(association: ReferenceAssociation) -> None:
    once = agreement_request()
    assert once.to(association) == (Outcome.TAKEN, "")

    response, proposed, confirmed = given_answers(association)
    assert response.name == f"ImportAgrResponse_{once.key}.xml"
    root = trusted(response.body)
    kind = families().recognise(root)
    assert kind.schema.validate(root)
    assert kind.facts(root) == {
        "consign_no": NUMBER,
        "seq_no": NUMBER,
        "status": "0",
        "response_code": "0",
        "text": "成功",
        "cop_code": BROKER,
    }
    assert [proposed.name, confirmed.name] == [
        f"AgreementNotice_{NUMBER}_proposed.xml",
        f"AgreementNotice_{NUMBER}_confirmed.xml",
    ]
    agreement = Agreement(
        number=NUMBER,
        kind=AgreementKind.PER_SHIPMENT,
        trader=CONFIRMING,
        broker=BROKER,
        state=AgreementState.IN_FORCE,
        valid_from=date(2026, 11, 23),
        valid_until=date(2027, 2, 28),
        goods=("8471300000",),
        value=Decimal("1000.50"),
        currency="502",
    )
    assert signed_notice(confirmed) == AgreementNotice(
        id=f"{NUMBER}-confirmed",
        act=Act.CONFIRMED,
        at=NOW,
        agreement=agreement,
        proposed_by=AgreementSide.BROKER,
        reason="自动确认",
    )


def test_xmlsec1_finds_every_notice_signed_by_the_association(association: ReferenceAssociation) -> None:
    agreement_request().to(association)

    _, *signed = given_answers(association)
    assert len(signed) == 2
    assert all(xmlsec1_accepts(notice.body, ASSOCIATION) for notice in signed)
    changed = signed[1].body.replace(b">2027-02-28<", b">2037-02-28<")
    assert changed != signed[1].body
    assert not xmlsec1_accepts(changed, ASSOCIATION)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, ["proposed", "confirmed"]),
        ({"trader_code": TRADER}, ["proposed"]),
        # The trader proposes, and the broker has to answer.
        ({"cop_code": CONFIRMING}, ["proposed"]),
        ({"note": "请尽快确认"}, ["proposed", "confirmed"]),
        ({"note": "REFUSE-1"}, ["proposed", "refused"]),
        ({"note": "REFUSE-1", "trader_code": TRADER}, ["proposed", "refused"]),
        ({"note": "SILENT-1"}, ["proposed"]),
        ({"note": "FAIL-1"}, []),
    ],
)
def test_the_course_of_a_request_depends_on_who_confirms_or_on_its_note(
    association: ReferenceAssociation, facts: dict[str, str], expected: list[str]
) -> None:
    assert requested(facts).to(association) == (Outcome.TAKEN, "")

    assert acts(association) == expected


@pytest.mark.parametrize(
    ("note", "status"), [("", CustomsStatus.IMPORTED), ("FAIL-1", CustomsStatus.REFUSED)]
)
def test_the_answer_of_the_association_is_read_as_imported_or_refused(
    association: ReferenceAssociation, note: str, status: CustomsStatus
) -> None:
    agreement_request(note=note).to(association)

    assert read(given_answers(association)[0].body, families()).status is status


def test_a_failed_import_has_no_number_and_uses_up_none(association: ReferenceAssociation) -> None:
    agreement_request(note="FAIL-1").to(association)
    agreement_request().to(association)

    roots = [trusted(answer.body) for answer in given_answers(association)]
    failed, imported, *_ = [families().recognise(root).facts(root) for root in roots]
    assert "consign_no" not in failed
    assert failed["response_code"] not in ("0", "1")
    assert imported["consign_no"] == NUMBER


def test_each_act_of_a_side_gives_a_notice(association: ReferenceAssociation) -> None:
    once = agreement_request(note="SILENT-1")
    once.to(association)

    asyncio.run(association.act(NUMBER, Act.CONFIRMED))
    asyncio.run(association.act(NUMBER, Act.TERMINATED, "合同终止"))

    assert acts(association) == ["proposed", "confirmed", "terminated"]
    last = notices(association)[-1]
    assert (last.agreement.state, last.reason) == (AgreementState.TERMINATED, "合同终止")
    assert {answer.key for answer in given_answers(association)} == {once.key}
    assert len({answer.name for answer in given_answers(association)}) == 4


@pytest.mark.parametrize("act", [act for act in Act if act not in LIFE[AgreementState.REFUSED]])
def test_nothing_happens_to_an_agreement_that_was_refused(
    association: ReferenceAssociation, act: Act
) -> None:
    agreement_request(note="REFUSE-1").to(association)

    with pytest.raises(IllegalAct):
        asyncio.run(association.act(NUMBER, act))
    assert acts(association) == ["proposed", "refused"]


def test_an_agreement_in_force_is_amended_as_often_as_its_sides_agree(
    association: ReferenceAssociation,
) -> None:
    agreement_request().to(association)
    for day in (1, 2):
        asyncio.run(association.amend(NUMBER, {"valid_until": date(2027, 3, day)}, "延期"))

    assert acts(association) == ["proposed", "confirmed", "amended", "amended"]
    *_, first, last = notices(association)
    assert (last.agreement, last.reason) == (replace(first.agreement, valid_until=date(2027, 3, 2)), "延期")
    assert first.id != last.id
    assert len({answer.name for answer in given_answers(association)}) == 5


@pytest.mark.parametrize("note", ["SILENT-1", "REFUSE-1"])
def test_an_agreement_that_is_not_in_force_is_not_amended(
    association: ReferenceAssociation, note: str
) -> None:
    agreement_request(note=note).to(association)
    before = acts(association)
    with pytest.raises(IllegalAct):
        asyncio.run(association.amend(NUMBER, {"goods": ("8471",)}))
    assert acts(association) == before


def test_the_association_does_not_release_an_agreement_that_was_used(
    association: ReferenceAssociation,
) -> None:
    agreement_request().to(association)
    asyncio.run(association.act(NUMBER, Act.USED))

    with pytest.raises(ValueError, match="freed"):
        asyncio.run(association.act(NUMBER, Act.FREED))
    assert acts(association) == ["proposed", "confirmed", "used"]


def test_nothing_happens_to_a_number_that_was_never_allotted(association: ReferenceAssociation) -> None:
    with pytest.raises(KeyError):
        asyncio.run(association.act("20260000000000009", Act.CONFIRMED))


def test_agreements_stand_when_the_folder_is_opened_again(
    association: ReferenceAssociation, tmp_path: Path
) -> None:
    agreement_request(note="SILENT-1").to(association)
    association.close()

    with closing(reference_association(tmp_path)) as again:
        asyncio.run(again.act(NUMBER, Act.WITHDRAWN))
        assert acts(again) == ["proposed", "withdrawn"]
        agreement_request().to(again)
        assert notices(again)[-1].agreement.number == "20260000000000002"


def test_an_act_from_beside_the_node_comes_out_of_its_answers(
    association: ReferenceAssociation, tmp_path: Path
) -> None:
    agreement_request(note="SILENT-1").to(association)

    with closing(reference_association(tmp_path)) as command:
        asyncio.run(command.act(NUMBER, Act.REFUSED))

    assert acts(association) == ["proposed", "refused"]


def test_a_declaration_is_not_for_the_association(association: ReferenceAssociation) -> None:
    assert sent().to(association) == (Outcome.NEVER, "the association does not take a DecMessage")


@pytest.mark.parametrize("fact", ["cop_code", "trader_code", "agent_code", "goods_code", "total", "ie_date"])
def test_a_request_without_what_makes_an_agreement_is_refused(
    association: ReferenceAssociation, fact: str
) -> None:
    outcome, reason = requested({fact: ""}).to(association)

    assert (outcome, reason) == (Outcome.NEVER, f"the request does not tell {fact}")
    assert given_answers(association) == []


@pytest.mark.parametrize("wrong", [{"ie_date": "20261131"}, {"ie_date": "soon"}, {"total": "much"}])
def test_a_request_of_no_date_or_value_is_refused_and_uses_up_no_number(
    association: ReferenceAssociation, wrong: dict[str, str]
) -> None:
    assert requested(wrong).to(association)[0] is Outcome.NEVER
    assert given_answers(association) == []

    agreement_request().to(association)
    assert notices(association)[0].agreement.number == NUMBER

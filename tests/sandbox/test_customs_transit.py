"""Transit at the reference customs (docs/reform.md, R10): two submissions, one entry, a step at a time."""

from decimal import Decimal
from typing import TypeAlias

import pytest

from adapters.sandbox.customs.courses import WaitReason
from adapters.sandbox.customs.customs import ReferenceCustoms
from adapters.sandbox.customs.decisions import OfficerAct
from adapters.sandbox.customs.ledger import Ledger
from adapters.sandbox.customs.proceedings import let_go_what_is_paid
from adapters.sandbox.customs.records import Duty, Kind, Payment
from adapters.sandbox.customs.reviews import NotFitting, decide
from gateway.model.delivery import Outcome
from gateway.model.message import Operation
from gateway.model.reform import Risk
from tests.support.submissions import NOW, PackagedSubmission, Subject, given_answers, sent, values

Facts: TypeAlias = dict[str, str]

INLAND, BORDER = "0202", "2248"
ADVANCE = {"transit": "1", "transit_relation": "1"}
DIRECT = {"transit": "1", "transit_relation": "0", "edi_id": "6"}

IMPORT_ADVANCE = "L@0202 J@0202 TrD@2248 TrA@0202 P@0202 R@0202 TrW@0202"
IMPORT_DIRECT = "L@0202 TrD@2248 TrA@0202 J@0202 P@0202 R@0202 TrW@0202"
EXPORT = "L@0202 J@0202 TrD@0202 TrA@2248 P@2248 R@0202 TrW@2248"


def course_of(customs: ReferenceCustoms) -> str:
    """The codes of all notices, each with the office that it is of."""
    notices = map(values, given_answers(customs)[1:])
    return " ".join(f"{notice['CHANNEL']}@{notice['CUSTOM_MASTER']}" for notice in notices)


def answers_to(customs: ReferenceCustoms, first: PackagedSubmission) -> str:
    """The codes of the notices of one declaration."""
    mine = [answer for answer in given_answers(customs) if answer.key == first.key]
    return " ".join(values(answer)["CHANNEL"] for answer in mine[1:])


def waits(ledger: Ledger) -> list[WaitReason]:
    return [declaration.waits for declaration in ledger.waiting()]


def declaration(facts: Facts) -> Subject:
    return Subject("cn-dec", "DecMessage", {"direction": "I", "office": INLAND, "ie_port": BORDER} | facts)


def both(
    facts: Facts, reference: str = "C-1", risk: Risk = Risk.LOW
) -> tuple[PackagedSubmission, PackagedSubmission]:
    """The submission to the office of declaration, and that to the office of entry or exit."""
    subject = declaration(facts)
    first = sent(reference, risk=risk, subject=subject)
    return first, sent(reference, risk=risk, subject=subject, copy_of=first.key, second_office=BORDER)


@pytest.mark.parametrize("copy_first", [False, True])
@pytest.mark.parametrize(
    ("direction", "kind", "course"),
    [
        ("I", ADVANCE, IMPORT_ADVANCE),
        ("I", {"transit": "1", "edi_id": "3"}, IMPORT_ADVANCE),
        ("I", {"transit": "1", "edi_id": "5"}, IMPORT_ADVANCE),
        ("I", DIRECT, IMPORT_DIRECT),
        ("E", ADVANCE, EXPORT),
        ("E", DIRECT, EXPORT),
    ],
)
def test_goods_in_transit_go_step_by_step_each_answered_by_its_own_office(
    customs: ReferenceCustoms,
    ledger: Ledger,
    direction: str,
    kind: Facts,
    course: str,
    copy_first: bool,
) -> None:
    first, copy = both({"direction": direction} | kind)
    for form in (copy, first) if copy_first else (first, copy):
        assert form.to(customs) == (Outcome.TAKEN, "")

    assert course_of(customs) == course
    assert {answer.key for answer in given_answers(customs)} == {first.key}
    assert waits(ledger) == []


@pytest.mark.parametrize(("kind", "course"), [(ADVANCE, "L@0202 J@0202"), (DIRECT, "L@0202")])
def test_nothing_departs_before_both_offices_have_it(
    customs: ReferenceCustoms, ledger: Ledger, kind: Facts, course: str
) -> None:
    first, copy = both(kind)
    first.to(customs)
    assert course_of(customs) == course
    assert waits(ledger) == [WaitReason.OFFICE]

    both(kind, "another")[1].to(customs)
    assert waits(ledger) == [WaitReason.OFFICE]
    copy.to(customs)
    assert waits(ledger) == []
    assert course_of(customs).startswith(f"{course} TrD@2248")


def test_a_copy_that_is_sent_again_changes_nothing(customs: ReferenceCustoms) -> None:
    first, copy = both(ADVANCE)
    for form in (first, copy, copy, first):
        assert form.to(customs)[0] is Outcome.TAKEN
    assert course_of(customs) == IMPORT_ADVANCE


def test_the_transit_form_has_a_number_of_its_own_which_a_save_gives_first(customs: ReferenceCustoms) -> None:
    sent("C-1", Operation.SAVE, subject=declaration(ADVANCE)).to(customs)
    for form in both(ADVANCE):
        form.to(customs)
    sent("C-2", transit_relation="0").to(customs)

    answers = [answer for answer in map(values, given_answers(customs)) if "ResponseCode" in answer]
    assert [(answer["SeqNo"], answer["TrnPreId"]) for answer in answers] == [
        ("I20260000000000001", "I20260000000000002"),
        ("I20260000000000001", "I20260000000000002"),
        ("I20260000000000003", ""),
    ]


def test_a_transit_form_that_has_a_number_keeps_it(customs: ReferenceCustoms) -> None:
    sent("C-1", subject=declaration(ADVANCE), transit_seq_no="I20250000000000077").to(customs)
    assert values(given_answers(customs)[0])["TrnPreId"] == "I20250000000000077"


@pytest.mark.parametrize("port", ["", INLAND])
def test_a_transit_form_with_one_office_goes_the_usual_course(customs: ReferenceCustoms, port: str) -> None:
    sent("C-1", subject=declaration(ADVANCE), ie_port=port).to(customs)
    assert course_of(customs) == "L@0202 J@0202 P@0202 R@0202"


def test_a_forced_course_is_played_whatever_the_transit(customs: ReferenceCustoms) -> None:
    for form in both(ADVANCE, "RETURNED-1"):
        assert form.to(customs)[0] is Outcome.TAKEN
    assert course_of(customs) == "E@0202"


def test_an_operator_decides_each_step_where_the_reference_asks_for_it(
    customs: ReferenceCustoms, ledger: Ledger
) -> None:
    first, copy = both(DIRECT, "TRANSIT-HAND-1")
    for form in (first, copy):
        form.to(customs)

    def step(act: OfficerAct) -> list[WaitReason]:
        decide(ledger, first.key, act, actor="officer", reason="核对无误", now=NOW)
        return waits(ledger)

    assert (course_of(customs), waits(ledger)) == ("L@0202", [WaitReason.DEPARTURE])
    with pytest.raises(NotFitting, match="waits for departure"):
        step(OfficerAct.ARRIVE)
    assert step(OfficerAct.DEPART) == [WaitReason.ARRIVAL]
    assert step(OfficerAct.ARRIVE) == [WaitReason.WRITE_OFF]
    assert course_of(customs) == IMPORT_DIRECT.removesuffix(" TrW@0202")
    assert step(OfficerAct.WRITE_OFF) == []
    assert course_of(customs) == IMPORT_DIRECT


def test_goods_of_high_risk_are_reviewed_before_they_depart_or_after_they_arrived(
    customs: ReferenceCustoms, ledger: Ledger
) -> None:
    advance = both(ADVANCE, "C-1", Risk.HIGH)
    direct = both(DIRECT, "C-2", Risk.HIGH)
    for form in (*advance, *direct):
        form.to(customs)

    assert waits(ledger) == [WaitReason.REVIEW, WaitReason.REVIEW]
    assert [answers_to(customs, first) for first, _ in (advance, direct)] == ["L", "L TrD TrA"]

    with pytest.raises(NotFitting, match="in transit"):
        decide(ledger, advance[0].key, OfficerAct.LET_GO, actor="officer", reason="x", now=NOW)
    for first, _ in (advance, direct):
        decide(ledger, first.key, OfficerAct.RELEASE, actor="officer", reason="单证相符", now=NOW)
    assert answers_to(customs, advance[0]) == "L J TrD TrA P R TrW"
    assert answers_to(customs, direct[0]) == "L TrD TrA P R TrW"
    assert waits(ledger) == []


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        (ADVANCE, "L J T", "TrD TrA P R TrW"),
        (DIRECT, "L TrD TrA J T", "P R TrW"),
    ],
)
def test_duty_is_paid_before_departure_or_after_arrival(
    customs: ReferenceCustoms, ledger: Ledger, kind: Facts, before: str, after: str
) -> None:
    with ledger.transaction():
        ledger.records.enter(Kind.DUTIES, [Duty(tariff="84", amount=Decimal(5))], "clerk", NOW)
    first, copy = both({"goods": "8482102000"} | kind)
    for form in (first, copy):
        form.to(customs)
    assert answers_to(customs, first) == before

    with ledger.transaction():
        ledger.records.enter(
            Kind.PAYMENTS, [Payment(payment="P", entry="C-1", amount=Decimal(5))], "clerk", NOW
        )
        let_go_what_is_paid(ledger, NOW)
    assert answers_to(customs, first) == f"{before} {after}"


def test_a_declaration_that_waits_for_the_other_office_can_be_returned(
    customs: ReferenceCustoms, ledger: Ledger
) -> None:
    first, copy = both(ADVANCE)
    first.to(customs)
    decide(ledger, first.key, OfficerAct.RETURN, actor="officer", reason="请撤回", now=NOW)
    copy.to(customs)

    assert course_of(customs) == "L@0202 J@0202 E@0202"
    assert waits(ledger) == []

"""What an agreement allows: under a mandate, beside others, amended, or of a party not registered yet."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.cli.doctor import examine
from adapters.store.tables.messages import agreements
from adapters.store.write.parties import Change, write
from gateway.model.agreements import PROPOSED, Act, AgreementKind
from gateway.model.decision import Decision
from gateway.model.faults import Fault
from gateway.model.parties import Party, Role
from gateway.model.states import Event, State
from tests.support.association import ACCOUNT, agreement, shown, signed_notice
from tests.support.declarations import Declaration, Enterprise, enterprise
from tests.support.desk import NOW, Desk
from tests.support.rendering import render

NUMBER, OTHER, MANDATE = "195200016172325", "195200016172326", "20269000001"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk.at(tmp_path / "home") as opened:
        yield opened


def declared(desk: Desk, *numbers: str, reference: str = "R1", **changes: Any) -> Decision:
    documents = tuple(shown(number) for number in numbers)
    body = render(replace(Declaration(reference=reference, documents=documents), **changes))
    return desk.judged("broker-aa", f"{reference}.xml", body)


def told(desk: Desk, number: str = NUMBER, act: Any = Act.CONFIRMED, **terms: Any) -> Decision:
    decision = desk.judged(
        ACCOUNT, f"{number}-{act}.xml", signed_notice(desk.home, agreement(number, **terms), act)
    )
    assert decision.event is not Event.REFUSED, decision.findings
    return decision


def codes(decision: Decision) -> list[str]:
    return [found.code for found in decision.findings]


def without_the_shipped_mandate(desk: Desk) -> None:
    (row,) = desk.rows(agreements, trader=enterprise("trader-a").code, broker=enterprise("broker-aa").code)
    told(desk, row["number"], Act.TERMINATED, kind=AgreementKind.LONG_TERM)


def allow_beyond(desk: Desk, what: str) -> None:
    policy = desk.rules.policy
    changed = policy.agreement.model_copy(update={"beyond_mandate": what})
    desk.rules = replace(desk.rules, policy=policy.model_copy(update={"agreement": changed}))


BEYOND: list[dict[str, Any]] = [
    {"direction": "E"},
    {"services": "BC"},
    {"goods": ("9999",)},
    {"offices": ("2248",)},
    {"value": Decimal(1), "currency": "USD"},
]
DATES: list[dict[str, Any]] = [{"valid_from": date(2026, 12, 1)}, {"valid_until": date(2026, 11, 1)}]


@pytest.mark.parametrize("beyond", ["refuse", "accept"])
@pytest.mark.parametrize("terms", [*BEYOND, *DATES], ids=str)
def test_an_agreement_stays_within_its_mandate_as_far_as_policy_asks_and_in_its_dates_always(
    desk: Desk, terms: dict[str, Any], beyond: str
) -> None:
    allow_beyond(desk, beyond)
    told(desk, MANDATE, kind=AgreementKind.LONG_TERM, **terms)
    told(desk, mandate=MANDATE)
    decision = declared(desk, NUMBER)
    if terms in BEYOND and beyond == "accept":
        assert decision.event is Event.PASSED
        return
    (found,) = decision.findings
    assert found.code == Fault.AGREEMENT_UNFIT.code
    assert f"mandate {MANDATE}: " in found.en
    assert f"委托书 {MANDATE}：" in found.zh


def test_a_mandate_that_covers_the_shipment_bears_the_agreement(desk: Desk) -> None:
    terms = {"direction": "I", "services": "AB", "goods": ("8482",), "offices": ("0202",)}
    told(desk, MANDATE, kind=AgreementKind.LONG_TERM, value=Decimal(1250), currency="USD", **terms)
    told(desk, mandate=MANDATE)
    assert declared(desk, NUMBER).event is Event.PASSED


def test_mandates_that_are_there_and_do_not_fit_are_named_with_what_does_not_fit(desk: Desk) -> None:
    without_the_shipped_mandate(desk)
    told(desk, MANDATE, kind=AgreementKind.LONG_TERM, goods=("9999",), valid_until=date(2026, 11, 1))
    (found,) = declared(desk).findings
    assert found.code == Fault.AGREEMENT_MISSING.code
    assert f"mandate {MANDATE}: until 2026-11-01; mandate {MANDATE}: goods 9999" in found.en
    assert "terminated" in found.en
    assert f"委托书 {MANDATE}：限商品编号 9999" in found.zh


def test_mandates_of_others_are_named_to_nobody_else(desk: Desk) -> None:
    without_the_shipped_mandate(desk)
    told(desk, MANDATE, kind=AgreementKind.LONG_TERM, trader=enterprise("trader-b").code)
    (found,) = declared(desk).findings
    assert MANDATE not in found.en


def test_of_several_agreements_the_first_that_fits_is_used_and_the_receipt_says_which(desk: Desk) -> None:
    told(desk, goods=("9999",))
    told(desk, OTHER)
    told(desk, "195200016172327")
    decision = declared(desk, "NOT-TOLD-OF", NUMBER, OTHER, "195200016172327")
    assert (decision.event, codes(decision)) == (Event.PASSED, [Fault.AGREEMENT_CHOSEN.code])
    assert OTHER in decision.findings[0].zh
    assert f"made under {OTHER}".encode() in next(r.body for r in decision.receipts if r.final)
    assert desk.message(decision.message)["agreement"] == OTHER
    assert [desk.rows(agreements, number=each)[0]["used_by"] for each in (NUMBER, OTHER)] == [
        None,
        decision.message,
    ]


def test_none_of_several_that_fits_is_told_of_each(desk: Desk) -> None:
    told(desk, goods=("9999",))
    told(desk, OTHER, direction="E")
    decision = declared(desk, NUMBER, OTHER)
    assert codes(decision) == [Fault.AGREEMENT_UNFIT.code] * 2


@pytest.mark.parametrize("comes", [NUMBER, OTHER])
def test_who_waits_for_one_of_several_is_woken_by_whichever_comes(desk: Desk, comes: str) -> None:
    told(desk, OTHER, PROPOSED)
    waits = declared(desk, NUMBER, OTHER)
    assert desk.message(waits.message)["waiting_for"] == f"agreements {NUMBER} {OTHER}"
    told(desk, comes)
    assert desk.message(waits.message)["state"] == State.RECEIVED
    again = desk.judgement(desk.claimed(NOW + timedelta(minutes=1)))
    assert again.matter.use is not None
    assert again.matter.use.agreement.number == comes


def test_an_agreement_of_a_party_that_is_not_registered_counts_once_it_is_and_doctor_names_it(
    desk: Desk,
) -> None:
    stranger = Enterprise(code="1207960404", scc="91120116MADEM0C186", name="某公司")
    told(desk, trader=stranger.code)
    before = declared(desk, NUMBER, trader=stranger, entry_type="0")
    assert codes(before) == [Fault.AGREEMENT_UNFIT.code]
    assert f"trader {stranger.code} is not registered" in before.findings[0].en
    assert f"{NUMBER} ({stranger.code})" in _doctor(desk)

    party = Party(code=stranger.code, scc=stranger.scc, name=stranger.name, roles=(Role.TRADER,))
    desk.database.submit(lambda to: write(to, [Change(before=None, after=party)], "tests", "", NOW)).result()

    after = declared(desk, NUMBER, trader=stranger, entry_type="0")
    assert after.event is Event.PASSED
    assert NUMBER not in _doctor(desk)


def _doctor(desk: Desk) -> str:
    (found,) = (each for each in examine(desk.home, NOW) if each["check"] == "agreements")
    assert found["ok"]
    return str(found["detail"])

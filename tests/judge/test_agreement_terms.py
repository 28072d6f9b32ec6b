"""What an agreement allows: under a mandate, beside others, amended, or of a party not registered yet."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from adapters.cli.doctor import examine
from adapters.store.tables.messages import agreements
from adapters.store.write.parties import write
from gateway.model.agreements import PROPOSED, Act, AgreementKind
from gateway.model.decision import Decision, DeclarationOutcome
from gateway.model.faults import Fault
from gateway.model.parties import Party, PartyChange, Role
from gateway.model.states import Event, State
from tests.support.association import ACCOUNT, agreement, agreement_document, signed_notice
from tests.support.declarations import Declaration, Enterprise, enterprise
from tests.support.harness import NOW, Harness
from tests.support.rendering import render

NUMBER, OTHER, MANDATE = "195200016172325", "195200016172326", "20269000001"


def declared(harness: Harness, *numbers: str, reference: str = "R1", **changes: Any) -> Decision:
    documents = tuple(agreement_document(number) for number in numbers)
    body = render(replace(Declaration(reference=reference, documents=documents), **changes))
    return harness.judged("broker-aa", f"{reference}.xml", body)


def notify(harness: Harness, number: str = NUMBER, act: Any = Act.CONFIRMED, **terms: Any) -> Decision:
    decision = harness.judged(
        ACCOUNT, f"{number}-{act}.xml", signed_notice(harness.home, agreement(number, **terms), act)
    )
    assert decision.event is not Event.REFUSED, decision.findings
    return decision


def codes(decision: Decision) -> list[str]:
    return [finding.code for finding in decision.findings]


def without_the_shipped_mandate(harness: Harness) -> None:
    (row,) = harness.rows(agreements, trader=enterprise("trader-a").code, broker=enterprise("broker-aa").code)
    notify(harness, row["number"], Act.TERMINATED, kind=AgreementKind.LONG_TERM)


def allow_beyond(harness: Harness, what: str) -> None:
    policy = harness.rules.policy
    changed = policy.agreement.model_copy(update={"beyond_mandate": what})
    harness.rules = replace(harness.rules, policy=policy.model_copy(update={"agreement": changed}))


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
    harness: Harness, terms: dict[str, Any], beyond: str
) -> None:
    allow_beyond(harness, beyond)
    notify(harness, MANDATE, kind=AgreementKind.LONG_TERM, **terms)
    notify(harness, mandate=MANDATE)
    decision = declared(harness, NUMBER)
    if terms in BEYOND and beyond == "accept":
        assert decision.event is Event.PASSED
        return
    (finding,) = decision.findings
    assert finding.code == Fault.AGREEMENT_UNFIT.code
    assert f"mandate {MANDATE}: " in finding.en
    assert f"委托书 {MANDATE}：" in finding.zh


def test_a_mandate_that_covers_the_shipment_bears_the_agreement(harness: Harness) -> None:
    terms = {"direction": "I", "services": "AB", "goods": ("8482",), "offices": ("0202",)}
    notify(harness, MANDATE, kind=AgreementKind.LONG_TERM, value=Decimal(1250), currency="USD", **terms)
    notify(harness, mandate=MANDATE)
    assert declared(harness, NUMBER).event is Event.PASSED


def test_mandates_that_are_there_and_do_not_fit_are_named_with_what_does_not_fit(harness: Harness) -> None:
    without_the_shipped_mandate(harness)
    notify(harness, MANDATE, kind=AgreementKind.LONG_TERM, goods=("9999",), valid_until=date(2026, 11, 1))
    (finding,) = declared(harness).findings
    assert finding.code == Fault.AGREEMENT_MISSING.code
    assert f"mandate {MANDATE}: until 2026-11-01; mandate {MANDATE}: goods 9999" in finding.en
    assert "terminated" in finding.en
    assert f"委托书 {MANDATE}：限商品编号 9999" in finding.zh


def test_mandates_of_others_are_named_to_nobody_else(harness: Harness) -> None:
    without_the_shipped_mandate(harness)
    notify(harness, MANDATE, kind=AgreementKind.LONG_TERM, trader=enterprise("trader-b").code)
    (finding,) = declared(harness).findings
    assert MANDATE not in finding.en


def test_of_others_mandate_that_an_agreement_names_only_the_number_is_revealed(
    harness: Harness,
) -> None:
    others = {"trader": enterprise("trader-b").code, "goods": ("9999",)}
    notify(harness, MANDATE, kind=AgreementKind.LONG_TERM, **others)
    notify(harness, mandate=MANDATE)
    (finding,) = declared(harness, NUMBER).findings
    assert f"(mandate {MANDATE}: other parties)" in finding.en
    assert "9999" not in finding.zh


def test_of_several_agreements_the_first_that_fits_is_used_and_the_receipt_says_which(
    harness: Harness,
) -> None:
    notify(harness, goods=("9999",))
    notify(harness, OTHER)
    notify(harness, "195200016172327")
    decision = declared(harness, "NOT-TOLD-OF", NUMBER, OTHER, "195200016172327")
    assert (decision.event, codes(decision)) == (Event.PASSED, [Fault.AGREEMENT_CHOSEN.code])
    assert OTHER in decision.findings[0].zh
    assert f"declaration uses {OTHER}".encode() in next(r.body for r in decision.receipts if r.final)
    assert harness.message(decision.message)["agreement"] == OTHER
    assert [harness.rows(agreements, number=number)[0]["used_by"] for number in (NUMBER, OTHER)] == [
        None,
        decision.message,
    ]


def test_if_none_of_several_agreements_fits_the_receipt_says_why_for_each(harness: Harness) -> None:
    notify(harness, goods=("9999",))
    notify(harness, OTHER, direction="E")
    decision = declared(harness, NUMBER, OTHER)
    assert codes(decision) == [Fault.AGREEMENT_UNFIT.code] * 2


@pytest.mark.parametrize("comes", [NUMBER, OTHER])
def test_a_declaration_that_waits_for_one_of_several_agreements_is_woken_by_any_of_them(
    harness: Harness, comes: str
) -> None:
    notify(harness, OTHER, PROPOSED)
    waits = declared(harness, NUMBER, OTHER)
    assert harness.message(waits.message)["waiting_for"] == f"agreements {NUMBER} {OTHER}"
    notify(harness, comes)
    assert harness.message(waits.message)["state"] == State.RECEIVED
    again = harness.judgement(harness.claimed(NOW + timedelta(minutes=1)))
    assert isinstance(again.outcome, DeclarationOutcome)
    assert again.outcome.use is not None
    assert again.outcome.use.agreement.number == comes


def test_an_agreement_of_a_party_that_is_not_registered_counts_once_it_is_and_doctor_names_it(
    harness: Harness,
) -> None:
    stranger = Enterprise(code="1207960404", scc="91120116MADEM0C186", name="某公司")
    notify(harness, trader=stranger.code)
    before = declared(harness, NUMBER, trader=stranger, entry_type="0")
    assert codes(before) == [Fault.AGREEMENT_UNFIT.code]
    assert f"trader {stranger.code} is not registered" in before.findings[0].en
    assert f"{NUMBER} ({stranger.code})" in _doctor(harness)

    party = Party(code=stranger.code, scc=stranger.scc, name=stranger.name, roles=(Role.TRADER,))
    harness.database.submit(
        lambda to: write(to, [PartyChange(before=None, after=party)], "tests", "", NOW)
    ).result()

    after = declared(harness, NUMBER, trader=stranger, entry_type="0")
    assert after.event is Event.PASSED
    assert NUMBER not in _doctor(harness)


def _doctor(harness: Harness) -> str:
    (check,) = (check for check in examine(harness.home, NOW) if check["check"] == "agreements")
    assert check["ok"]
    return str(check["detail"])

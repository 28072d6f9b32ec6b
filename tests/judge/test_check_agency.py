"""By whose agency a broker declares: mandate or agreement, covering, missing, awaited."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from adapters.store.tables.messages import agreement_acts, agreements
from gateway.formats.submission import read_envelope
from gateway.formats.xml import trusted
from gateway.model.agreements import Act, AgreementKind, AgreementState
from gateway.model.decision import Decision, DeclarationOutcome
from gateway.model.faults import Fault
from gateway.model.message import EnclosureKind
from gateway.model.states import Event, State
from tests.support.association import ACCOUNT, agreement, agreement_document, signed_notice
from tests.support.declarations import Declaration, Line, enterprise
from tests.support.harness import Harness
from tests.support.rendering import render

NUMBER = "195200016172325"


def declared(harness: Harness, reference: str = "R1", number: str = "", **changes: Any) -> Decision:
    documents = (agreement_document(number),) if number else ()
    declaration = replace(Declaration(reference=reference, documents=documents), **changes)
    return harness.judged("broker-aa", f"{reference}.xml", render(declaration))


def notify(harness: Harness, act: Any = Act.CONFIRMED, account: str = ACCOUNT, **terms: Any) -> Decision:
    body = signed_notice(harness.home, agreement(NUMBER, **terms), act)
    return harness.judged(account, f"{act}.xml", body)


def codes(decision: Decision) -> list[str]:
    return [finding.code for finding in decision.findings]


def test_a_mandate_found_by_the_parties_suffices_where_no_agreement_is_shown(harness: Harness) -> None:
    decision = declared(harness)
    assert decision.event is Event.PASSED
    (row,) = harness.rows(agreements, trader=enterprise("trader-a").code, broker=enterprise("broker-aa").code)
    assert harness.message(decision.message)["agreement"] == row["number"]
    assert row["state"] == AgreementState.IN_FORCE


def test_the_mandate_goes_to_customs_with_the_declaration_as_the_association_signed_it(
    harness: Harness,
) -> None:
    (submission,) = declared(harness).submissions
    (enclosure,) = submission.enclosures
    envelope = read_envelope(trusted(submission.envelope))
    assert envelope.enclosures == (enclosure,)
    assert enclosure.kind is EnclosureKind.AGREEMENT
    with harness.blobs.open(enclosure.sha256) as notice:
        assert trusted(notice.read()).findtext("{*}Agreement/{*}Number") == envelope.agreement


def test_a_trader_that_declares_itself_needs_none(harness: Harness) -> None:
    own = enterprise("trader-a")
    decision = harness.judged("trader-a", "a.xml", render(Declaration(agent=own, trader=own)))
    assert decision.event is Event.PASSED
    assert harness.message(decision.message)["agreement"] is None


def test_without_mandate_and_agreement_a_broker_is_refused(harness: Harness) -> None:
    (row,) = harness.rows(agreements, trader=enterprise("trader-a").code, broker=enterprise("broker-aa").code)
    mandate = agreement(row["number"], kind=AgreementKind.LONG_TERM)
    harness.judged(ACCOUNT, "end.xml", signed_notice(harness.home, mandate, Act.TERMINATED))
    decision = declared(harness)
    assert (decision.event, codes(decision)) == (Event.REFUSED, [Fault.AGREEMENT_MISSING.code])


def test_an_agreement_that_is_not_there_yet_is_waited_for_and_its_coming_wakes_the_declaration(
    harness: Harness,
) -> None:
    waits = declared(harness, number=NUMBER)
    row = harness.message(waits.message)
    assert (waits.event, codes(waits)) == (Event.WAITING, [Fault.AWAITED.code])
    assert (row["state"], row["waiting_for"]) == (State.WAITING, f"agreement {NUMBER}")
    assert row["until"] == row["received_at"] + timedelta(hours=48)
    assert [receipt.verdict for receipt in waits.receipts] == ["waiting"]
    assert notify(harness).event is Event.ACCEPTED_NO_DELIVERY
    assert harness.message(waits.message)["state"] == State.RECEIVED
    again = harness.judgement(harness.claimed(row["received_at"] + timedelta(minutes=1)))
    assert again.event is Event.PASSED
    assert isinstance(again.outcome, DeclarationOutcome)
    assert again.outcome.use is not None
    assert again.outcome.use.agreement.number == NUMBER


def test_where_mandates_are_proposed_whichever_is_confirmed_lets_the_declaration_go_on(
    harness: Harness,
) -> None:
    (row,) = harness.rows(agreements, trader=enterprise("trader-a").code, broker=enterprise("broker-aa").code)
    ended = agreement(row["number"], kind=AgreementKind.LONG_TERM)
    harness.judged(ACCOUNT, "end.xml", signed_notice(harness.home, ended, Act.TERMINATED))
    for number in ("20269000001", "20269000002"):
        mandate = agreement(number, kind=AgreementKind.LONG_TERM)
        harness.judged(ACCOUNT, f"{number}.xml", signed_notice(harness.home, mandate, "proposed"))
    waits = declared(harness)
    assert waits.event is Event.WAITING
    harness.judged(ACCOUNT, "confirmed.xml", signed_notice(harness.home, mandate))
    again = harness.judgement(
        harness.claimed(harness.message(waits.message)["received_at"] + timedelta(minutes=1))
    )
    assert again.event is Event.PASSED
    assert isinstance(again.outcome, DeclarationOutcome)
    assert again.outcome.use is not None
    assert again.outcome.use.agreement.number == "20269000002"


def test_an_agreement_for_one_shipment_is_used_once(harness: Harness) -> None:
    notify(harness)
    first = declared(harness, number=NUMBER)
    second = declared(harness, reference="R2", number=NUMBER)
    assert first.event is Event.PASSED
    assert (second.event, codes(second)) == (Event.REFUSED, [Fault.AGREEMENT_UNFIT.code])
    (row,) = harness.rows(agreements, number=NUMBER)
    assert (row["state"], row["used_by"]) == (AgreementState.USED, first.message)
    assert [row["act"] for row in harness.rows(agreement_acts, number=NUMBER)] == ["confirmed", "used"]


@pytest.mark.parametrize(
    "terms",
    [
        {"goods": ("9999",)},
        {"offices": ("2248",)},
        {"direction": "E"},
        {"trader": enterprise("trader-b").code},
        {"services": "BC"},
    ],
    ids=["goods", "office", "direction", "parties", "services"],
)
def test_an_agreement_that_does_not_cover_the_declaration_is_refused(harness: Harness, terms: Any) -> None:
    notify(harness, **terms)
    decision = declared(harness, number=NUMBER)
    assert (decision.event, codes(decision)) == (Event.REFUSED, [Fault.AGREEMENT_UNFIT.code])


@pytest.mark.parametrize("agreed", ["502", "USD"])
@pytest.mark.parametrize("written", ["502", "USD"])
@pytest.mark.parametrize(("limit", "event"), [("1250", Event.PASSED), ("1249.99", Event.REFUSED)])
def test_the_value_limit_holds_whichever_code_says_the_currency(
    harness: Harness, agreed: str, written: str, limit: str, event: Event
) -> None:
    notify(harness, value=Decimal(limit), currency=agreed)
    decision = declared(harness, number=NUMBER, lines=(Line(currency=written),))
    assert decision.event is event
    if event is Event.REFUSED:
        assert codes(decision) == [Fault.AGREEMENT_UNFIT.code]
        assert f"value {limit}" in decision.findings[0].en
    (row,) = harness.rows(agreements, number=NUMBER)
    assert row["record"]["currency"] == "USD"


@pytest.mark.parametrize(
    "lines",
    [
        (Line(extra={"DeclTotal": "+1250.0000"}),),  # no number to XPath, so there is no sum
        (Line(currency="EUR"),),
        (Line(currency="EUR", quantity=Decimal(1)), Line()),
    ],
    ids=["no sum", "another currency", "several currencies"],
)
def test_a_value_limit_is_not_got_round_by_a_total_that_cannot_be_held_against_it(
    harness: Harness, lines: tuple[Line, ...]
) -> None:
    notify(harness, value=Decimal(1000), currency="USD")
    decision = declared(harness, number=NUMBER, lines=lines)
    assert (decision.event, codes(decision)) == (Event.REFUSED, [Fault.AGREEMENT_UNFIT.code])


def test_a_sender_that_names_others_agreement_learns_nothing_of_its_terms(harness: Harness) -> None:
    terms: dict[str, Any] = {"goods": ("9999",), "direction": "E", "offices": ("2248",), "services": "BC"}
    notify(harness, trader=enterprise("trader-b").code, value=Decimal(1), currency="EUR", **terms)
    (finding,) = declared(harness, number=NUMBER).findings
    assert "(other parties)" in finding.en
    assert "（委托方或被委托方与报关单不一致）" in finding.zh


def test_an_agreement_stands_and_falls_with_the_mandate_that_it_is_under(harness: Harness) -> None:
    (row,) = harness.rows(agreements, trader=enterprise("trader-a").code, broker=enterprise("broker-aa").code)
    notify(harness, mandate=row["number"])
    ended = agreement(row["number"], kind=AgreementKind.LONG_TERM)
    harness.judged(ACCOUNT, "end.xml", signed_notice(harness.home, ended, Act.TERMINATED))
    decision = declared(harness, number=NUMBER)
    assert codes(decision) == [Fault.AGREEMENT_UNFIT.code]
    assert f"mandate {row['number']}: terminated" in decision.findings[0].en


def test_a_declaration_that_waited_too_long_is_refused(harness: Harness) -> None:
    waits = declared(harness, number=NUMBER)
    late = harness.message(waits.message)["until"] + timedelta(seconds=1)
    assert harness.expired(late) == 1
    decision = harness.judgement(harness.claimed(late))
    assert decision.event is Event.REFUSED
    assert codes(decision) == [Fault.WAIT_EXPIRED.code, Fault.AWAITED.code]


def test_only_the_association_sends_agreement_notices(harness: Harness) -> None:
    body = signed_notice(harness.home, agreement(NUMBER), account="broker-aa")
    decision = harness.judged("broker-aa", "a.xml", body)
    assert (decision.event, codes(decision)) == (Event.REFUSED, [Fault.NOT_ASSOCIATION.code])
    assert harness.rows(agreements, number=NUMBER) == []


def test_an_act_that_an_agreements_state_does_not_allow_is_refused(harness: Harness) -> None:
    notify(harness)
    notify(harness, Act.TERMINATED)
    decision = notify(harness, Act.USED)
    assert (decision.event, codes(decision)) == (Event.REFUSED, [Fault.AGREEMENT_ACT.code])


def test_an_agreement_never_goes_over_to_other_parties(harness: Harness) -> None:
    notify(harness, "proposed")
    decision = notify(harness, trader=enterprise("trader-b").code)
    assert codes(decision) == [Fault.AGREEMENT_ACT.code]


def test_an_agreement_has_the_terms_that_were_confirmed(harness: Harness) -> None:
    notify(harness, "proposed", goods=("8482",))
    notify(harness, goods=("8482102000",))
    notify(harness, Act.TERMINATED, goods=("9999",))
    (row,) = harness.rows(agreements, number=NUMBER)
    assert (row["state"], row["record"]["goods"]) == (AgreementState.TERMINATED, ["8482102000"])


def test_a_notice_of_an_agreement_that_customs_was_shown_goes_on_to_customs(harness: Harness) -> None:
    notify(harness)
    declared(harness, number=NUMBER)
    decision = notify(harness, Act.TERMINATED)
    (submission,) = decision.submissions
    assert (decision.event, submission.destination) == (Event.PASSED, "customs")


def test_a_temporary_save_needs_no_agreement_yet(harness: Harness) -> None:
    decision = declared(harness, number=NUMBER, operation="G")
    assert decision.event is Event.PASSED
    assert harness.message(decision.message)["agreement"] is None


@pytest.mark.parametrize("codes_of_the_trader", [("TradeCode", "broker-aa"), ("TradeCoScc", "broker-aa")])
def test_a_broker_that_gives_its_own_code_beside_the_traders_is_not_taken_for_the_trader(
    harness: Harness, codes_of_the_trader: tuple[str, str]
) -> None:
    name, account = codes_of_the_trader
    own = enterprise(account)
    code = own.code if name == "TradeCode" else own.scc
    decision = declared(harness, head={name: code})
    assert (decision.event, codes(decision)) == (Event.REFUSED, [Fault.TRADERS_DIFFER.code])


@pytest.mark.parametrize("name", ["TradeCode", "TradeCoScc"])
@pytest.mark.parametrize("trader", ["trader-a", "broker-aa"])
@pytest.mark.parametrize("entry_type", ["0", "M"])
def test_a_code_that_nobody_is_registered_by_is_not_the_registered_traders(
    harness: Harness, name: str, trader: str, entry_type: str
) -> None:
    unknown = {"TradeCode": "3100000001", "TradeCoScc": "91310000MA1K000000"}[name]
    decision = declared(harness, trader=enterprise(trader), head={name: unknown}, entry_type=entry_type)
    assert (decision.event, codes(decision)) == (Event.REFUSED, [Fault.TRADERS_DIFFER.code])

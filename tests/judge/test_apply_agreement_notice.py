"""What a notice of the association changes, and who is told of it."""

import asyncio
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from adapters.store.tables.messages import agreement_acts, agreements
from gateway.model.agreements import (
    PROPOSED,
    Act,
    Agreement,
    AgreementKind,
    AgreementState,
    NoticeAct,
)
from gateway.model.decision import Decision
from gateway.model.faults import Fault
from gateway.model.message import ReceiptKind
from gateway.model.parties import ReceiptForm
from gateway.model.states import Event, State
from gateway.model.transition import Applied, Refusal
from tests.support.association import ACCOUNT, agreement, signed_notice
from tests.support.declarations import enterprise
from tests.support.harness import LATER, NOW, Harness
from tests.support.invariants import agreement_violations

NUMBER = "195200016172325"


@pytest.mark.parametrize("forms", [(ReceiptForm.SINGLE_WINDOW,), (ReceiptForm.GATEWAY,)])
def test_both_sides_are_notified_whichever_receipts_they_chose(
    harness: Harness, forms: tuple[ReceiptForm, ...]
) -> None:
    for account in ("trader-a", "broker-aa"):
        harness.change_account(account, receipts=forms)
    body = signed_notice(harness.home, agreement(NUMBER))

    decision = harness.judged(ACCOUNT, "confirmed.xml", body)

    own, *others = decision.receipts
    assert (own.account, own.final) == (ACCOUNT, True)
    assert {receipt.account for receipt in others} == {"trader-a", "broker-aa"}
    assert {(receipt.kind, receipt.body, receipt.final) for receipt in others} == {
        (ReceiptKind.AGREEMENT, body, False)
    }


def test_a_side_without_an_account_is_not_notified(harness: Harness) -> None:
    harness.change("trader-a", account=None)

    decision = harness.judged(ACCOUNT, "confirmed.xml", signed_notice(harness.home, agreement(NUMBER)))

    assert [receipt.account for receipt in decision.receipts] == [ACCOUNT, "broker-aa"]


def test_a_notice_of_a_known_state_is_accepted_and_nobody_is_notified(harness: Harness) -> None:
    harness.judged(ACCOUNT, "confirmed.xml", signed_notice(harness.home, agreement(NUMBER)))

    # Overtaken on its way by the confirmation.
    late = harness.judged(ACCOUNT, "late.xml", signed_notice(harness.home, agreement(NUMBER), PROPOSED))

    assert (late.event, late.submissions) == (Event.ACCEPTED_NO_DELIVERY, ())
    assert [receipt.account for receipt in late.receipts] == [ACCOUNT]
    assert harness.message(late.message)["state"] == State.CLOSED
    assert [row["act"] for row in harness.rows(agreement_acts, number=NUMBER)] == [Act.CONFIRMED]


def test_of_two_notices_judged_at_the_same_time_the_first_one_counts_first(harness: Harness) -> None:
    acts = (Act.CONFIRMED, Act.TERMINATED)
    first, second = [
        harness.received(ACCOUNT, f"{act}.xml", signed_notice(harness.home, agreement(NUMBER), act))
        for act in acts
    ]
    confirmed, too_early = harness.judgement(first), harness.judgement(second)
    assert decided(harness, too_early) is Refusal.SUPERSEDED  # the first is not decided yet
    assert isinstance(decided(harness, confirmed), Applied)
    assert decided(harness, too_early) is Refusal.SUPERSEDED  # the agreement is another now
    terminated = harness.judgement(second, LATER)
    assert (terminated.findings, type(decided(harness, terminated))) == ((), Applied)
    assert [row["act"] for row in harness.rows(agreement_acts, number=NUMBER)] == [*acts]
    (row,) = harness.rows(agreements, number=NUMBER)
    assert row["state"] == AgreementState.TERMINATED


def test_a_notice_that_cannot_happen_is_refused_once_nothing_before_it_is_undecided(harness: Harness) -> None:
    harness.judged(ACCOUNT, "confirmed.xml", signed_notice(harness.home, agreement(NUMBER)))
    other_terms = signed_notice(harness.home, replace(agreement(NUMBER), goods=("8471",)), id="N2")
    refused = harness.judgement(harness.received(ACCOUNT, "other.xml", other_terms))
    assert [finding.code for finding in refused.findings] == [Fault.AGREEMENT_ACT.code]
    assert isinstance(decided(harness, refused), Applied)


def decided(harness: Harness, decision: Decision) -> Applied | Refusal:
    return asyncio.run(harness.messages.decide(decision, LATER))


def test_the_number_of_a_notice_is_taken_also_where_it_goes_to_nobody_else(harness: Harness) -> None:
    terms = agreement(NUMBER)
    once = harness.judged(ACCOUNT, "once.xml", signed_notice(harness.home, terms))

    other = replace(terms, goods=("8471",))
    decision = harness.judged(
        ACCOUNT, "other.xml", signed_notice(harness.home, other, id=f"{NUMBER}-confirmed")
    )

    assert once.event is Event.ACCEPTED_NO_DELIVERY
    assert [finding.code for finding in decision.findings] == ["duplicate-reference"]
    (row,) = harness.rows(agreements, number=NUMBER)
    assert row["state"] == AgreementState.IN_FORCE


def test_a_long_term_mandate_stays_in_force_when_the_association_reports_a_use(
    harness: Harness,
) -> None:
    mandate = agreement("20269000001", kind=AgreementKind.LONG_TERM)
    for act in (Act.CONFIRMED, Act.USED):
        harness.judged(ACCOUNT, f"{act}.xml", signed_notice(harness.home, mandate, act))
    (row,) = harness.rows(agreements, number=mandate.number)
    assert (row["state"], row["revision"]) == (AgreementState.IN_FORCE, 1)
    unknown = agreement("20269000002", kind=AgreementKind.LONG_TERM)
    harness.judged(ACCOUNT, "used.xml", signed_notice(harness.home, unknown, Act.USED))
    (row,) = harness.rows(agreements, number=unknown.number)
    assert row["state"] == AgreementState.IN_FORCE
    with harness.database.engine.connect() as store:
        assert list(agreement_violations(store)) == []


NOBODY = "9999999999"
OWN = enterprise("broker-aa").code


@pytest.mark.parametrize("act", [PROPOSED, Act.CONFIRMED, Act.AMENDED, Act.TERMINATED])
@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"valid_from": date(2026, 2, 2), "valid_until": date(2026, 2, 1)}, "valid until 2026-02-01"),
        ({"trader": OWN}, "is trader and broker"),
        ({"trader": NOBODY, "broker": "9999999998"}, "neither 9999999999 nor 9999999998 is registered"),
    ],
    ids=["ends before it begins", "one party", "nobody here"],
)
def test_a_notice_that_makes_no_sense_is_refused_whatever_its_act(
    harness: Harness, terms: dict[str, Any], reason: str, act: NoticeAct
) -> None:
    decision = harness.judged(ACCOUNT, "n.xml", signed_notice(harness.home, agreement(NUMBER, **terms), act))
    (finding,) = decision.findings
    assert (decision.event, finding.code) == (Event.REFUSED, Fault.AGREEMENT_NOTICE.code)
    assert reason in finding.en
    assert harness.rows(agreements, number=NUMBER) == []


@pytest.mark.parametrize(
    ("ahead", "accepted"), [(timedelta(minutes=9), True), (timedelta(minutes=11), False)]
)
def test_a_notice_may_be_issued_ten_minutes_ahead_of_its_coming(
    harness: Harness, ahead: timedelta, accepted: bool
) -> None:
    decision = harness.judged(
        ACCOUNT, "n.xml", signed_notice(harness.home, agreement(NUMBER), at=NOW + ahead)
    )
    assert (decision.event is Event.ACCEPTED_NO_DELIVERY) is accepted


def test_a_validity_that_begins_later_is_sound(harness: Harness) -> None:
    later = agreement(NUMBER, valid_from=date(2027, 1, 1))
    assert (
        harness.judged(ACCOUNT, "n.xml", signed_notice(harness.home, later)).event
        is Event.ACCEPTED_NO_DELIVERY
    )


def test_a_second_confirmation_is_refused_with_other_terms_and_has_no_effect_with_the_same(
    harness: Harness,
) -> None:
    terms = agreement(NUMBER, goods=("8482", "8483"))
    harness.judged(ACCOUNT, "1.xml", signed_notice(harness.home, terms))
    same = signed_notice(harness.home, replace(terms, goods=("8483", "8482")), id="same")
    other = signed_notice(harness.home, replace(terms, goods=("8471",)), id="other")

    decision, refused = harness.judged(ACCOUNT, "2.xml", same), harness.judged(ACCOUNT, "3.xml", other)

    assert decision.event is Event.ACCEPTED_NO_DELIVERY
    assert [finding.code for finding in refused.findings] == [Fault.AGREEMENT_ACT.code]
    (row,) = harness.rows(agreements, number=NUMBER)
    assert (row["record"]["goods"], row["revision"]) == (["8482", "8483"], 1)


def test_an_agreement_that_is_unused_is_amended(harness: Harness) -> None:
    terms = agreement(NUMBER, goods=("8482",))
    harness.judged(ACCOUNT, "1.xml", signed_notice(harness.home, terms))
    other = replace(terms, goods=("8471",))

    amended = harness.judged(ACCOUNT, "2.xml", signed_notice(harness.home, other, Act.AMENDED))
    again = harness.judged(ACCOUNT, "3.xml", signed_notice(harness.home, other, Act.AMENDED, id="again"))

    assert (amended.event, again.event) == (Event.ACCEPTED_NO_DELIVERY, Event.ACCEPTED_NO_DELIVERY)
    assert ReceiptKind.AGREEMENT in {receipt.kind for receipt in amended.receipts}
    assert [row["act"] for row in harness.rows(agreement_acts, number=NUMBER)] == [
        Act.CONFIRMED,
        Act.AMENDED,
    ]
    (row,) = harness.rows(agreements, number=NUMBER)
    assert row["record"]["goods"] == ["8471"]


def test_an_agreement_that_is_only_proposed_is_amended_and_stays_so(harness: Harness) -> None:
    agreed = agreement(NUMBER, goods=("8482",))
    other = replace(agreed, goods=("8471",))
    acts: list[tuple[NoticeAct, Agreement]] = [
        (PROPOSED, agreed),
        (Act.AMENDED, other),
        (Act.AMENDED, other),
    ]
    for id_, (act, terms) in enumerate(acts):
        decision = harness.judged(
            ACCOUNT, f"{id_}.xml", signed_notice(harness.home, terms, act, id=f"N{id_}")
        )
        assert decision.event is Event.ACCEPTED_NO_DELIVERY

    (row,) = harness.rows(agreements, number=NUMBER)
    assert (row["state"], row["record"]["goods"], row["revision"]) == ("proposed", ["8471"], 2)
    harness.judged(ACCOUNT, "c.xml", signed_notice(harness.home, other))
    (row,) = harness.rows(agreements, number=NUMBER)
    assert (row["state"], row["record"]["goods"], row["revision"]) == ("in_force", ["8471"], 3)


@pytest.mark.parametrize("ended", [Act.USED, Act.REFUSED, Act.WITHDRAWN, Act.TERMINATED])
def test_an_agreement_that_is_used_or_ended_is_never_amended(harness: Harness, ended: Act) -> None:
    terms = agreement(NUMBER, goods=("8482",))
    harness.judged(ACCOUNT, "1.xml", signed_notice(harness.home, terms, ended))
    amended = harness.judged(
        ACCOUNT, "2.xml", signed_notice(harness.home, replace(terms, goods=("8471",)), Act.AMENDED)
    )
    assert [finding.code for finding in amended.findings] == [Fault.AGREEMENT_ACT.code]
    (row,) = harness.rows(agreements, number=NUMBER)
    assert row["record"]["goods"] == ["8482"]

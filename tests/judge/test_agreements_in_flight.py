"""What becomes of declarations whose agreement is revoked, or comes free, while they are under way."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

import pytest

from adapters.store.tables.messages import agreements, deliveries, events, receipts
from adapters.store.write.deliveries import SqlOutbox
from gateway.model.agreements import Act, Agreement, AgreementKind, AgreementState
from gateway.model.decision import Decision
from gateway.model.delivery import Outgoing
from gateway.model.faults import Fault
from gateway.model.policy import Policy
from gateway.model.states import DeliveryState, Event, State
from gateway.model.transition import Refusal
from tests.support.acts import replay
from tests.support.association import ACCOUNT, agreement, agreement_document, signed_notice
from tests.support.declarations import Declaration, enterprise
from tests.support.harness import NOW, Harness
from tests.support.rendering import render

NUMBER = "195200016172325"
LATER = NOW + timedelta(hours=1)


def revoked(harness: Harness, what: Literal["deliver", "hold"]) -> None:
    """Sets the policy."""
    policy = harness.rules.policy
    changed = policy.model_copy(update={"agreement": policy.agreement.model_copy(update={"revoked": what})})
    harness.rules = replace(harness.rules, policy=changed)


def notify(harness: Harness, act: Any = Act.CONFIRMED) -> Decision:
    return harness.judged(ACCOUNT, f"{act}.xml", signed_notice(harness.home, agreement(NUMBER), act))


def declared(harness: Harness, reference: str = "R1") -> str:
    body = render(Declaration(reference=reference, documents=(agreement_document(NUMBER),)))
    return harness.judged("broker-aa", f"{reference}.xml", body).message


def outbox(harness: Harness) -> SqlOutbox:
    return SqlOutbox(harness.database, timedelta(hours=24))


def claimed(harness: Harness, message: str) -> list[Outgoing]:
    """The deliveries of a message that are sent now."""
    return [
        delivery
        for delivery in asyncio.run(outbox(harness).claim("customs", 10, LATER))
        if delivery.message == message
    ]


def test_as_shipped_a_declaration_that_was_accepted_rightly_is_delivered_though_its_agreement_ends(
    harness: Harness,
) -> None:
    notify(harness)
    message = declared(harness)
    notify(harness, Act.TERMINATED)
    assert Policy().agreement.revoked == "deliver"
    assert harness.message(message)["state"] == State.ACCEPTED
    assert len(claimed(harness, message)) == 1


@pytest.fixture
def mandate(harness: Harness) -> Agreement:
    """The one between the two, as a new home has it."""
    trader, broker = enterprise("trader-a").code, enterprise("broker-aa").code
    (row,) = harness.rows(agreements, trader=trader, broker=broker)
    return agreement(row["number"], kind=AgreementKind.LONG_TERM)


def test_where_a_mandate_ends_what_was_accepted_under_its_agreements_stops_too(
    harness: Harness, mandate: Agreement
) -> None:
    revoked(harness, "hold")
    under = agreement(NUMBER, mandate=mandate.number)
    harness.judged(ACCOUNT, "a.xml", signed_notice(harness.home, under))
    message = declared(harness)
    harness.judged(ACCOUNT, "end.xml", signed_notice(harness.home, mandate, Act.TERMINATED))
    row = harness.message(message)
    assert (row["state"], row["reason"]) == (State.HELD, f"agreement {mandate.number} was terminated")


def test_a_mandate_that_ends_while_a_declaration_is_judged_has_it_judged_again(
    harness: Harness, mandate: Agreement
) -> None:
    under = agreement(NUMBER, mandate=mandate.number)
    harness.judged(ACCOUNT, "a.xml", signed_notice(harness.home, under))
    received = harness.received(
        "broker-aa", "R1.xml", render(Declaration(documents=(agreement_document(NUMBER),)))
    )
    decision = harness.judgement(received)
    assert decision.event is Event.PASSED
    harness.judged(ACCOUNT, "end.xml", signed_notice(harness.home, mandate, Act.TERMINATED))
    refused = asyncio.run(harness.messages.decide(decision, LATER))
    assert refused is Refusal.SUPERSEDED
    assert [finding.code for finding in harness.judgement(received).findings] == [Fault.AGREEMENT_UNFIT.code]


def test_if_the_policy_holds_messages_those_that_customs_has_not_taken_stop_with_their_deliveries(
    harness: Harness,
) -> None:
    revoked(harness, "hold")
    notify(harness)
    message = declared(harness)
    notify(harness, Act.TERMINATED)
    row = harness.message(message)
    assert (row["state"], row["reason"]) == (State.HELD, f"agreement {NUMBER} was terminated")
    assert [row["state"] for row in harness.rows(deliveries, message=message)] == [DeliveryState.HELD]
    assert claimed(harness, message) == []
    assert [row["event"] for row in harness.rows(events, message=message)][-1] == Event.HELD


def test_a_replay_delivers_what_was_accepted_and_authorises_nothing_again(harness: Harness) -> None:
    revoked(harness, "hold")
    notify(harness)
    message = declared(harness)
    notify(harness, Act.TERMINATED)
    receipts_before = harness.rows(receipts, message=message)
    harness.database.submit(lambda to: replay(to, message, "operator", "the trader agrees", LATER)).result()

    assert asyncio.run(harness.messages.claim(10, LATER, timedelta(minutes=1))) == ()  # nothing is judged
    (delivery,) = claimed(harness, message)
    assert delivery.unknown  # customs is asked before it is sent again
    asyncio.run(outbox(harness).settle(delivery, DeliveryState.DELIVERED, "", LATER, LATER))
    row = harness.message(message)
    assert (row["state"], row["agreement"]) == (State.DELIVERED, NUMBER)
    assert harness.rows(receipts, message=message) == receipts_before
    (agreement_row,) = harness.rows(agreements, number=NUMBER)
    assert (agreement_row["state"], agreement_row["used_by"]) == (AgreementState.TERMINATED, message)


@pytest.mark.parametrize("what", ["deliver", "hold"])
def test_a_declaration_that_waits_for_an_agreement_is_judged_again_when_it_ends_whatever_the_policy(
    harness: Harness, what: Literal["deliver", "hold"]
) -> None:
    revoked(harness, what)
    message = declared(harness)
    assert harness.message(message)["state"] == State.WAITING
    notify(harness, Act.TERMINATED)
    decision = harness.judgement(harness.claimed(LATER))
    assert (decision.message, decision.event) == (message, Event.REFUSED)
    assert [finding.code for finding in decision.findings] == [Fault.AGREEMENT_UNFIT.code]
    assert "terminated" in decision.findings[0].en


def test_of_two_declarations_that_wait_for_one_agreement_the_first_gets_it(harness: Harness) -> None:
    first, second = declared(harness, "R1"), declared(harness, "R2")
    notify(harness)
    for message in (first, second):
        (woken,) = asyncio.run(harness.messages.claim(10, LATER, timedelta(minutes=1)))
        assert woken.arrival.id == message
        asyncio.run(harness.messages.decide(harness.judgement(woken, LATER), LATER))
    assert [harness.message(message)["state"] for message in (first, second)] == [
        State.ACCEPTED,
        State.REJECTED,
    ]

"""What becomes of declarations whose agreement is revoked, or comes free, while they are under way."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from adapters.store.tables.messages import agreements, deliveries, events, receipts
from adapters.store.write.deliveries import SqlOutbox
from gateway.model.agreements import Act, Agreement, AgreementKind, AgreementState
from gateway.model.decision import Decision
from gateway.model.faults import Fault
from gateway.model.policy import Policy
from gateway.model.ports import Outgoing, Superseded
from gateway.model.states import DeliveryState, Event, State
from tests.support.acts import replay
from tests.support.association import ACCOUNT, agreement, shown, signed_notice
from tests.support.declarations import Declaration, enterprise
from tests.support.desk import NOW, Desk
from tests.support.rendering import render

NUMBER = "195200016172325"
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk.at(tmp_path / "home") as opened:
        yield opened


def revoked(desk: Desk, what: Literal["deliver", "hold"]) -> None:
    """Sets the policy."""
    policy = desk.rules.policy
    changed = policy.model_copy(update={"agreement": policy.agreement.model_copy(update={"revoked": what})})
    desk.rules = replace(desk.rules, policy=changed)


def told(desk: Desk, act: Any = Act.CONFIRMED) -> Decision:
    return desk.judged(ACCOUNT, f"{act}.xml", signed_notice(desk.home, agreement(NUMBER), act))


def declared(desk: Desk, reference: str = "R1") -> str:
    body = render(Declaration(reference=reference, documents=(shown(NUMBER),)))
    return desk.judged("broker-aa", f"{reference}.xml", body).message


def outbox(desk: Desk) -> SqlOutbox:
    return SqlOutbox(desk.database, timedelta(hours=24))


def claimed(desk: Desk, message: str) -> list[Outgoing]:
    """The deliveries of a message that are sent now."""
    return [each for each in asyncio.run(outbox(desk).claim("customs", 10, LATER)) if each.message == message]


def test_as_shipped_a_declaration_that_was_accepted_rightly_is_delivered_though_its_agreement_ends(
    desk: Desk,
) -> None:
    told(desk)
    message = declared(desk)
    told(desk, Act.TERMINATED)
    assert Policy().agreement.revoked == "deliver"
    assert desk.message(message)["state"] == State.ACCEPTED
    assert len(claimed(desk, message)) == 1


@pytest.fixture
def mandate(desk: Desk) -> Agreement:
    """The one between the two, as a new home has it."""
    trader, broker = enterprise("trader-a").code, enterprise("broker-aa").code
    (row,) = desk.rows(agreements, trader=trader, broker=broker)
    return agreement(row["number"], kind=AgreementKind.LONG_TERM)


def test_where_a_mandate_ends_what_was_accepted_under_its_agreements_stops_too(
    desk: Desk, mandate: Agreement
) -> None:
    revoked(desk, "hold")
    under = agreement(NUMBER, mandate=mandate.number)
    desk.judged(ACCOUNT, "a.xml", signed_notice(desk.home, under))
    message = declared(desk)
    desk.judged(ACCOUNT, "end.xml", signed_notice(desk.home, mandate, Act.TERMINATED))
    row = desk.message(message)
    assert (row["state"], row["reason"]) == (State.HELD, f"agreement {mandate.number} was terminated")


def test_a_mandate_that_ends_while_a_declaration_is_judged_has_it_judged_again(
    desk: Desk, mandate: Agreement
) -> None:
    under = agreement(NUMBER, mandate=mandate.number)
    desk.judged(ACCOUNT, "a.xml", signed_notice(desk.home, under))
    received = desk.received("broker-aa", "R1.xml", render(Declaration(documents=(shown(NUMBER),))))
    decision = desk.judgement(received)
    assert decision.event is Event.PASSED
    desk.judged(ACCOUNT, "end.xml", signed_notice(desk.home, mandate, Act.TERMINATED))
    with pytest.raises(Superseded):
        asyncio.run(desk.messages.decide(decision, LATER))
    assert [found.code for found in desk.judgement(received).findings] == [Fault.AGREEMENT_UNFIT.code]


def test_where_the_policy_holds_what_customs_has_not_taken_stops_with_its_deliveries(desk: Desk) -> None:
    revoked(desk, "hold")
    told(desk)
    message = declared(desk)
    told(desk, Act.TERMINATED)
    row = desk.message(message)
    assert (row["state"], row["reason"]) == (State.HELD, f"agreement {NUMBER} was terminated")
    assert [each["state"] for each in desk.rows(deliveries, message=message)] == [DeliveryState.HELD]
    assert claimed(desk, message) == []
    assert [each["event"] for each in desk.rows(events, message=message)][-1] == Event.STOPPED


def test_a_replay_delivers_what_was_accepted_and_authorises_nothing_anew(desk: Desk) -> None:
    revoked(desk, "hold")
    told(desk)
    message = declared(desk)
    told(desk, Act.TERMINATED)
    told_before = desk.rows(receipts, message=message)
    desk.database.submit(lambda to: replay(to, message, "operator", "the trader agrees", LATER)).result()

    assert asyncio.run(desk.messages.claim(10, LATER, timedelta(minutes=1))) == ()  # nothing is judged
    (item,) = claimed(desk, message)
    assert item.unknown  # customs is asked before it is sent again
    asyncio.run(outbox(desk).settle(item, DeliveryState.DELIVERED, "", LATER, LATER))
    row = desk.message(message)
    assert (row["state"], row["agreement"]) == (State.DELIVERED, NUMBER)
    assert desk.rows(receipts, message=message) == told_before
    (standing,) = desk.rows(agreements, number=NUMBER)
    assert (standing["state"], standing["used_by"]) == (AgreementState.TERMINATED, message)


@pytest.mark.parametrize("what", ["deliver", "hold"])
def test_what_waits_for_an_agreement_is_judged_again_when_it_ends_whatever_the_policy_says(
    desk: Desk, what: Literal["deliver", "hold"]
) -> None:
    revoked(desk, what)
    message = declared(desk)
    assert desk.message(message)["state"] == State.WAITING
    told(desk, Act.TERMINATED)
    decision = desk.judgement(desk.claimed(LATER))
    assert (decision.message, decision.event) == (message, Event.REFUSED)
    assert [found.code for found in decision.findings] == [Fault.AGREEMENT_UNFIT.code]
    assert "terminated" in decision.findings[0].en


def test_of_two_that_wait_for_the_same_agreement_the_first_gets_it(desk: Desk) -> None:
    first, second = declared(desk, "R1"), declared(desk, "R2")
    told(desk)
    for message in (first, second):
        (woken,) = asyncio.run(desk.messages.claim(10, LATER, timedelta(minutes=1)))
        assert woken.arrival.id == message
        asyncio.run(desk.messages.decide(desk.judgement(woken, LATER), LATER))
    assert [desk.message(each)["state"] for each in (first, second)] == [State.ACCEPTED, State.REJECTED]

"""Replay from a chosen stage: what was accepted may be judged again while customs certainly has it not."""

import asyncio
from dataclasses import replace as but
from datetime import timedelta

import pytest

from adapters.store.tables.messages import agreements, deliveries, holders, obligations, receipts
from adapters.store.write.deliveries import SqlOutbox
from gateway.model.agreements import AgreementState
from gateway.model.decision import Decision
from gateway.model.message import ReceiptKind
from gateway.model.states import DeliveryState, Event, State
from gateway.operate.message_actions import (
    DeliveryStatus,
    Impossible,
    MessageAct,
    MessageStatus,
    ReplayStage,
    event_of,
)
from tests.judge.test_join_attachments import LISTED
from tests.support.acts import hold, replay
from tests.support.habits import AU3
from tests.support.harness import LATER, Harness
from tests.support.operating import BROKER, NUMBER, held, judge_again, trail
from tests.support.rendering import files, render

HELD, REFUSED = DeliveryStatus(DeliveryState.HELD), DeliveryStatus(DeliveryState.REFUSED)
UNSURE, TAKEN = DeliveryStatus(DeliveryState.HELD, unsure=True), DeliveryStatus(DeliveryState.DELIVERED)


def judged_again(harness: Harness, message: str) -> Decision:
    harness.database.submit(
        lambda to: replay(to, message, "operator", "rules changed", LATER, stage=ReplayStage.JUDGEMENT)
    ).result()
    return judge_again(harness, LATER + timedelta(seconds=1))


def strict(harness: Harness) -> None:
    """The policy of today refuses what was accepted."""
    policy = harness.rules.policy
    reform = policy.reform.model_copy(update={"scope": ()})
    harness.rules = but(harness.rules, policy=policy.model_copy(update={"reform": reform}))


def finals(harness: Harness, message: str) -> list[str]:
    return [row["verdict"] for row in harness.rows(receipts, message=message, final=True, superseded=False)]


def test_the_stage_says_whether_it_is_judged_or_sent_again() -> None:
    was_accepted = MessageStatus(state=State.HELD, deliveries=(HELD, REFUSED))
    assert event_of(MessageAct.REPLAY, was_accepted) is Event.RESUMED
    assert event_of(MessageAct.REPLAY, was_accepted, ReplayStage.DELIVERY) is Event.RESUMED
    assert event_of(MessageAct.REPLAY, was_accepted, ReplayStage.JUDGEMENT) is Event.REPLAYED


@pytest.mark.parametrize("state", [State.HELD, State.REJECTED])
def test_a_message_that_was_never_accepted_has_nothing_to_deliver(state: State) -> None:
    with pytest.raises(Impossible, match=r"nothing to deliver.*possible: replay --from judgement"):
        event_of(MessageAct.REPLAY, MessageStatus(state=state), ReplayStage.DELIVERY)


@pytest.mark.parametrize("sent", [UNSURE, TAKEN], ids=["unsure", "taken"])
def test_a_message_that_customs_may_have_is_not_judged_again(sent: DeliveryStatus) -> None:
    with pytest.raises(Impossible, match=r"cannot be judged again.*possible: replay --from delivery"):
        event_of(
            MessageAct.REPLAY, MessageStatus(state=State.HELD, deliveries=(HELD, sent)), ReplayStage.JUDGEMENT
        )


@pytest.mark.parametrize("stage", ReplayStage)
@pytest.mark.parametrize("state", [State.RECEIVED, State.ACCEPTED, State.DELIVERED, State.CLOSED])
def test_a_message_in_progress_or_finished_is_not_replayed_from_any_stage(
    state: State, stage: ReplayStage
) -> None:
    with pytest.raises(Impossible, match=f"a message that is {state} cannot be replayed"):
        event_of(MessageAct.REPLAY, MessageStatus(state=state, deliveries=(HELD,)), stage)


def test_judged_again_it_keeps_its_agreement_and_key_and_is_delivered_under_the_same_key(
    harness: Harness,
) -> None:
    message = held(harness)
    keys = [row for row in harness.rows(holders) if row["reference"] == "R1"]
    before = harness.rows(receipts, message=message)
    decision = judged_again(harness, message)
    assert decision.event is Event.PASSED
    assert harness.message(message)["state"] == State.ACCEPTED
    assert harness.rows(agreements, number=NUMBER)[0]["used_by"] == message
    assert [row for row in harness.rows(holders) if row["reference"] == "R1"] == keys
    assert harness.rows(receipts, message=message) == before  # the verdict is the same
    (delivery,) = harness.rows(deliveries, message=message)
    assert (delivery["state"], delivery["key"]) == (DeliveryState.PENDING, message)
    replayed = next(detail for event, _who, detail in trail(harness, message) if event == Event.REPLAYED)
    assert replayed["withdrawn"] == ["customs"]


def test_a_message_that_is_refused_on_a_replay_releases_everything_it_held(harness: Harness) -> None:
    message = held(harness)
    strict(harness)
    decision = judged_again(harness, message)
    assert decision.event is Event.REFUSED
    (free,) = harness.rows(agreements, number=NUMBER)
    assert (free["state"], free["used_by"]) == (AgreementState.IN_FORCE, None)
    assert [row for row in harness.rows(holders) if row["reference"] == "R1"] == []
    assert (harness.rows(obligations, message=message), harness.rows(deliveries, message=message)) == ([], [])
    assert finals(harness, message) == ["rejected"]
    freed = [receipt for receipt in decision.receipts if receipt.kind is ReceiptKind.NOTICE]
    assert {(receipt.account, receipt.verdict) for receipt in freed} == {
        ("association", "freed"),
        (BROKER, "freed"),
    }


def test_a_held_message_that_is_being_sent_is_not_judged_again(harness: Harness) -> None:
    message = held(harness)
    harness.database.submit(lambda to: replay(to, message, "operator", "go on", LATER)).result()
    outbox = SqlOutbox(harness.database, timedelta(hours=24))
    asyncio.run(outbox.claim("customs", 10, LATER + timedelta(minutes=1)))
    harness.database.submit(lambda to: hold(to, message, "operator", "stop", LATER)).result()
    with pytest.raises(Impossible, match="cannot be judged again"):
        judged_again(harness, message)
    assert len(harness.rows(deliveries, message=message)) == 1


def test_pdfs_that_joined_a_declaration_still_belong_to_it_when_it_is_judged_again(harness: Harness) -> None:
    pdfs = files(LISTED, AU3)
    for name, body in pdfs.items():
        harness.judged(BROKER, name, body)
    message = harness.judged(BROKER, "d.xml", render(LISTED, AU3)).message
    before = harness.rows(deliveries, message=message)[0]["enclosures"]
    harness.database.submit(lambda to: hold(to, message, "operator", "look at it", LATER)).result()
    decision = judged_again(harness, message)
    assert decision.event is Event.PASSED
    assert decision.joined == ()
    assert harness.rows(deliveries, message=message)[0]["enclosures"] == before != []

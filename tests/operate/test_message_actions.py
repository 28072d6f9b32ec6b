"""What operators may do in which state: the whole table, and what customs may have."""

import itertools

import pytest

from gateway.model.states import TRANSITIONS, DeliveryState, Event, State
from gateway.operate.message_actions import (
    DeliveryStatus,
    Impossible,
    MessageAct,
    MessageStatus,
    event_of,
    possible,
)

# By state: what each act does to a message that was never accepted. What is not named is not possible.
EVENTS = {
    State.RECEIVED: {MessageAct.HOLD: Event.HELD},
    State.WAITING: {MessageAct.HOLD: Event.HELD, MessageAct.REJECT: Event.DISMISSED},
    State.ACCEPTED: {MessageAct.HOLD: Event.HELD},
    State.DELIVERED: {},
    State.CLOSED: {},
    State.REJECTED: {MessageAct.REPLAY: Event.REPLAYED},
    State.HELD: {
        MessageAct.RELEASE: Event.REPLAYED,
        MessageAct.REPLAY: Event.REPLAYED,
        MessageAct.REJECT: Event.DISMISSED,
    },
}
TAKEN_PERHAPS = [
    DeliveryStatus(DeliveryState.SENDING),
    DeliveryStatus(DeliveryState.UNKNOWN),
    DeliveryStatus(DeliveryState.DELIVERED),
    DeliveryStatus(DeliveryState.HELD, unsure=True),
]
NOT_TAKEN = [
    DeliveryStatus(DeliveryState.PENDING),
    DeliveryStatus(DeliveryState.REFUSED),
    DeliveryStatus(DeliveryState.HELD),
]


def held(*deliveries: DeliveryStatus) -> MessageStatus:
    return MessageStatus(state=State.HELD, deliveries=deliveries)


@pytest.mark.parametrize(("state", "act"), list(itertools.product(State, MessageAct)))
def test_each_act_is_possible_where_the_table_says_and_nowhere_else(state: State, act: MessageAct) -> None:
    status = MessageStatus(state=state)
    if act in EVENTS[state]:
        event = event_of(act, status)
        assert event is EVENTS[state][act]
        assert event in TRANSITIONS[state]
    else:
        with pytest.raises(Impossible, match=f"a message that is {state} cannot be "):
            event_of(act, status)
    assert (act in possible(status)) == (act in EVENTS[state])


def test_a_refused_act_says_what_is_possible_instead() -> None:
    with pytest.raises(Impossible, match=r"a message that is held cannot be held; possible: release, reject"):
        event_of(MessageAct.HOLD, held())
    with pytest.raises(Impossible, match="possible: nothing"):
        event_of(MessageAct.REJECT, MessageStatus(state=State.CLOSED))


@pytest.mark.parametrize("act", [MessageAct.RELEASE, MessageAct.REPLAY])
def test_an_accepted_message_is_delivered_again_and_not_judged_again(act: MessageAct) -> None:
    assert event_of(act, held(DeliveryStatus(DeliveryState.HELD))) is Event.RESUMED


@pytest.mark.parametrize("sent", NOT_TAKEN, ids=str)
def test_a_message_that_customs_does_not_have_can_be_rejected(sent: DeliveryStatus) -> None:
    assert event_of(MessageAct.REJECT, held(sent)) is Event.DISMISSED


@pytest.mark.parametrize("sent", TAKEN_PERHAPS, ids=str)
def test_a_message_that_customs_may_have_cannot_be_rejected(sent: DeliveryStatus) -> None:
    status = held(DeliveryStatus(DeliveryState.HELD), sent)
    with pytest.raises(Impossible, match="customs may have it; possible: release"):
        event_of(MessageAct.REJECT, status)
    assert MessageAct.REJECT not in possible(status)
    assert event_of(MessageAct.RELEASE, status) is Event.RESUMED

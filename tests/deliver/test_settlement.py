"""What the end of a delivery means for its message, as a table; without a store."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from gateway.deliver.settlement import Attempt, Other, Settlement, given_up, settled
from gateway.model.message import Operation
from gateway.model.states import DELIVERY_HELD, DELIVERY_REFUSED, DeliveryState, Event, State
from gateway.model.transition import Note, Transition

NOW = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
DUE = NOW + timedelta(days=1)
ATTEMPT = Attempt(message="01", destination="customs", number=3, key="01")
HELD_THERE = Other(DeliveryState.HELD, "look at it")
ON_ITS_WAY = Other(DeliveryState.PENDING, "")


def settle(
    state: DeliveryState,
    message: State,
    others: Sequence[Other] = (),
    operation: Operation | None = Operation.DECLARE,
    *,
    unsure: bool = False,
) -> Settlement:
    return settled(ATTEMPT, state, "said so", message, operation, others, NOW, DUE, unsure=unsure)


def words(settlement: Settlement) -> list[str]:
    return [change.event if isinstance(change, Transition) else change.word for change in settlement.changes]


@pytest.mark.parametrize(
    ("state", "message", "others", "expected"),
    [
        (DeliveryState.DELIVERED, State.ACCEPTED, (), [Event.TAKEN]),
        (DeliveryState.DELIVERED, State.HELD, (), [Event.TAKEN]),
        (DeliveryState.DELIVERED, State.ACCEPTED, (ON_ITS_WAY,), [Event.TAKEN]),
        (DeliveryState.DELIVERED, State.ACCEPTED, (HELD_THERE,), [Event.TAKEN, Event.HELD]),
        (DeliveryState.DELIVERED, State.HELD, (HELD_THERE,), [Event.TAKEN]),
        (DeliveryState.REFUSED, State.ACCEPTED, (), [Event.UNDELIVERABLE]),
        (DeliveryState.REFUSED, State.ACCEPTED, (ON_ITS_WAY,), [Event.UNDELIVERABLE]),
        (DeliveryState.HELD, State.ACCEPTED, (), [Event.UNDELIVERABLE]),
        (DeliveryState.REFUSED, State.DELIVERED, (), [DELIVERY_REFUSED]),
        (DeliveryState.HELD, State.DELIVERED, (), [DELIVERY_HELD]),
        (DeliveryState.PENDING, State.ACCEPTED, (), []),
        (DeliveryState.UNKNOWN, State.DELIVERED, (), []),
    ],
)
def test_the_end_of_a_delivery_is_an_event_of_its_message(
    state: DeliveryState, message: State, others: Sequence[Other], expected: list[str]
) -> None:
    assert words(settle(state, message, others)) == expected


def test_of_two_offices_one_alone_does_not_deliver_the_message() -> None:
    (change,) = settle(DeliveryState.DELIVERED, State.ACCEPTED, (ON_ITS_WAY,)).changes
    assert isinstance(change, Note)
    (change,) = settle(DeliveryState.DELIVERED, State.ACCEPTED).changes
    assert isinstance(change, Transition)
    assert change.columns == {"answer_due": DUE}


def test_the_rest_of_a_transit_is_held_for_the_reason_that_its_delivery_was() -> None:
    changes = settle(DeliveryState.DELIVERED, State.ACCEPTED, (HELD_THERE, HELD_THERE)).changes
    assert isinstance(changes[1], Transition)
    assert changes[1].columns == {"reason": "look at it"}


def test_a_message_that_only_informs_is_finished_when_it_was_taken() -> None:
    informs = settle(DeliveryState.DELIVERED, State.ACCEPTED, operation=Operation.INFORM)
    assert words(informs) == [Event.SETTLED]


def test_a_delivery_to_be_tried_again_is_held_if_its_message_was_held_meanwhile() -> None:
    assert settle(DeliveryState.PENDING, State.HELD).state is DeliveryState.HELD
    assert settle(DeliveryState.PENDING, State.ACCEPTED).state is DeliveryState.PENDING


def test_customs_may_have_what_it_took_once_whatever_becomes_of_the_second_time() -> None:
    assert settle(DeliveryState.HELD, State.DELIVERED).unsure
    assert not settle(DeliveryState.REFUSED, State.DELIVERED).unsure
    assert settle(DeliveryState.REFUSED, State.DELIVERED, unsure=True).unsure


@pytest.mark.parametrize(
    ("message", "unsure", "expected"),
    [
        (State.ACCEPTED, False, (False, [Event.UNDELIVERABLE])),
        (State.ACCEPTED, True, (True, [Event.UNDELIVERABLE])),
        (State.DELIVERED, False, (True, [DELIVERY_HELD])),
    ],
)
def test_a_delivery_that_is_given_up_is_held(
    message: State, unsure: bool, expected: tuple[bool, list[str]]
) -> None:
    end = given_up(ATTEMPT, "its time is over", message, NOW, unsure=unsure)
    assert end.state is DeliveryState.HELD
    assert (end.unsure, words(end)) == expected

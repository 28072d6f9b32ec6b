"""What the end of one delivery means for its message.

Most messages go to one back-end. A transit declaration goes to two offices: it is delivered when both have
it, and held when one refuses it, or when an operator holds the delivery that the other office does not have
yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.model.message import Operation
from gateway.model.states import DELIVERY_HELD, DELIVERY_REFUSED, DeliveryState, Event, State
from gateway.model.transition import Columns, Note, Transition, hold

ACTOR: Final = "gateway"

# What a delivery's end means for its message; in all other states the delivery is under way.
_EVENT_OF: Final = {
    DeliveryState.DELIVERED: Event.TAKEN,
    DeliveryState.REFUSED: Event.UNDELIVERABLE,
    DeliveryState.HELD: Event.UNDELIVERABLE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The attempt that ended: its message, destination, number and submission key."""

    message: str
    destination: str
    number: int
    key: str

    @property
    def detail(self) -> dict[str, object]:
        return {"destination": self.destination, "attempt": self.number, "key": self.key}


@dataclass(frozen=True, slots=True)
class Other:
    """Another delivery of the same message, which customs has not taken."""

    state: DeliveryState
    note: str


@dataclass(frozen=True, slots=True)
class Settlement:
    """The new state of the delivery, whether customs may still have it, and the changes to its message."""

    state: DeliveryState
    unsure: bool
    changes: tuple[Transition | Note, ...] = ()


def abandoned(message: State) -> DeliveryState:
    """What becomes of a delivery whose sender died: its back-end is asked about it before it is sent again.
    One that was held while it was being sent is not sent again automatically; a replay asks first."""
    return DeliveryState.HELD if message is State.HELD else DeliveryState.UNKNOWN


def settled(
    attempt: Attempt,
    state: DeliveryState,
    note: str,
    message: State,
    operation: Operation | None,
    others: Sequence[Other],
    now: datetime,
    answer_due: datetime,
    *,
    unsure: bool,
) -> Settlement:
    """What follows where an attempt left its delivery in `state`. `others` are the other deliveries of the
    message that customs has not taken; `unsure`: customs may have it, whatever became of this attempt."""
    event = _EVENT_OF.get(state)
    if event is None:
        # Its message was held meanwhile: it is not tried again.
        return Settlement(DeliveryState.HELD if message is State.HELD else state, unsure)
    detail = {**attempt.detail, "note": note}
    if event is Event.UNDELIVERABLE and message is State.DELIVERED:
        # It was sent again (`operate.delivery_actions`): the answer to the first submission may still come.
        held = state is DeliveryState.HELD
        word = DELIVERY_HELD if held else DELIVERY_REFUSED
        return Settlement(state, unsure or held, (_note(attempt, word, detail, now),))
    if event is Event.TAKEN and others:
        taken: list[Transition | Note] = [_note(attempt, Event.TAKEN, detail, now)]
        if message is State.ACCEPTED and all(each.state is DeliveryState.HELD for each in others):
            taken.append(hold(attempt.message, ACTOR, others[0].note, now))  # an operator holds the rest
        return Settlement(state, unsure, tuple(taken))
    if event is Event.TAKEN and operation is Operation.INFORM:
        event = Event.SETTLED  # no answer will come
    columns = Columns()
    if event is Event.TAKEN:
        columns = Columns(answer_due=answer_due)
    elif event is Event.UNDELIVERABLE:
        columns = Columns(reason=note)
    changed = Transition(
        message=attempt.message, event=event, actor=ACTOR, at=now, detail=detail, columns=columns
    )
    return Settlement(state, unsure, (changed,))


def given_up(attempt: Attempt, note: str, message: State, now: datetime, *, unsure: bool) -> Settlement:
    """What follows when the time of a delivery is over."""
    detail = {**attempt.detail, "note": note}
    if message is State.DELIVERED:  # customs took it once
        return Settlement(DeliveryState.HELD, True, (_note(attempt, DELIVERY_HELD, detail, now),))
    changed = Transition(
        message=attempt.message,
        event=Event.UNDELIVERABLE,
        actor=ACTOR,
        at=now,
        detail=detail,
        columns=Columns(reason=note),
    )
    return Settlement(DeliveryState.HELD, unsure, (changed,))


def _note(attempt: Attempt, word: str, detail: dict[str, object], now: datetime) -> Note:
    return Note(message=attempt.message, word=word, actor=ACTOR, at=now, detail=detail)

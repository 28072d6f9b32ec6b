"""What operators may do to one delivery of a message that has several (transit goes to two offices).

A message is held, released and replayed with all its deliveries (`message_actions`). An act on one delivery
must keep the message consistent with its deliveries: an accepted message has a delivery that is under way, a
held one has a delivery that is held or refused. Where an act would break that, operators must use the act on
the message instead.

A submission that customs took and then lost is sent again by a replay of its delivery. Its message stays
delivered meanwhile, whatever the outcome: customs took it once, and an answer may still come.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from gateway.model.states import DELIVERY_HELD, DELIVERY_RESUMED, DeliveryState, Event, State
from gateway.model.transition import Columns, Note, Transition
from gateway.operate.message_actions import Impossible

_ON_ITS_WAY: Final = (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.UNKNOWN)
_ENDED: Final = (DeliveryState.HELD, DeliveryState.REFUSED)


class DeliveryAct(StrEnum):
    HOLD = "hold"
    RELEASE = "release"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class Step:
    """The new state of the delivery and the event of its message; None leaves it unchanged."""

    delivery: DeliveryState
    event: Event | None


# The states in which each act is possible, and the state after it. Before a held or refused delivery is sent
# again, the back-end is asked about it.
_TAKES: Final = {
    DeliveryAct.HOLD: ((DeliveryState.PENDING, DeliveryState.UNKNOWN), DeliveryState.HELD),
    DeliveryAct.RELEASE: ((DeliveryState.HELD,), DeliveryState.UNKNOWN),
    DeliveryAct.REPLAY: (_ENDED, DeliveryState.UNKNOWN),
}
# The same for a message that customs took; a delivery that is under way again goes on by itself.
_OF_DELIVERED: Final = {
    DeliveryAct.RELEASE: (DeliveryState.HELD,),
    DeliveryAct.REPLAY: (DeliveryState.DELIVERED, *_ENDED),
}


def step_of(
    act: DeliveryAct,
    present: DeliveryState,
    message: State,
    others: Sequence[DeliveryState],
    overtaken_by: int | None = None,
) -> Step:
    """What an act on one delivery does; `others` are the other deliveries of the message. `overtaken_by` is a
    later delivery to the same back-end, about the same declaration, that customs has taken.

    Raises `Impossible`.
    """
    takes, after = _TAKES[act]
    if present is DeliveryState.SENDING and message is not State.DELIVERED:
        raise Impossible("it is being sent at this moment; hold its message, and it is not tried again")
    if message is State.DELIVERED and present in _OF_DELIVERED.get(act, ()):
        if overtaken_by is not None:
            raise Impossible(
                f"{overtaken_by} came after it about the same declaration and was handed over; to send both "
                "again in their order, pause the back-end, replay that one first, then this"
            )
        return Step(after, None)
    if present not in takes or message not in (State.ACCEPTED, State.HELD):
        raise Impossible(f"a delivery that is {present}, of a message that is {message}, has no {act}")
    if act is DeliveryAct.HOLD:
        if message is State.HELD or not any(each in _ON_ITS_WAY for each in others):
            raise Impossible("no other delivery of its message would go on; use messages hold")
        return Step(after, None)
    if message is State.ACCEPTED:
        return Step(after, None)
    if any(each in _ENDED for each in others):
        raise Impossible("another delivery of its message is held or refused too; use messages release")
    return Step(after, Event.RESUMED)


def change_of(
    step: Step, message: str, actor: str, reason: str, now: datetime, detail: Mapping[str, object]
) -> Transition | Note:
    """The transition of the delivery's message; `detail` is logged with it."""
    details = {"reason": reason, **detail}
    if step.event is None:
        word = DELIVERY_HELD if step.delivery is DeliveryState.HELD else DELIVERY_RESUMED
        return Note(message=message, word=word, actor=actor, at=now, detail=details)
    return Transition(
        message=message, event=step.event, actor=actor, at=now, detail=details, columns=Columns(reason="")
    )

"""What operators may do to a message: each a transition with a named actor and a reason.

Hold stops a message wherever customs does not have it yet. Release ends that: the message goes on where it
was stopped. Replay takes up a rejected or held one, from a stage that may be chosen. Reject refuses a
message: its sender gets the final receipt, and what the message had taken comes free.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.model.states import TRANSITIONS, DeliveryState, Event, State


class Act(StrEnum):
    """The words of the command line."""

    HOLD = "hold"
    RELEASE = "release"
    REJECT = "reject"
    REPLAY = "replay"


class Stage(StrEnum):
    """From where a message is replayed: judged anew under today's rules, or sent again under its submission
    key after the back-end was asked for it."""

    JUDGEMENT = "judgement"
    DELIVERY = "delivery"


_SENT: Final = (DeliveryState.SENDING, DeliveryState.UNKNOWN, DeliveryState.DELIVERED)


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """A delivery of a message. `unsure`: an attempt was made of which the outcome is not known, and customs
    has not said since that it has not got it (`Dispatcher`)."""

    state: DeliveryState
    unsure: bool = False

    @property
    def may_be_taken(self) -> bool:
        """Customs has it, or may have it: whatever became of the last attempt."""
        return self.unsure or self.state in _SENT


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageStatus:
    """A message at rest, as far as it decides what may be done to it. What was accepted has deliveries."""

    state: State
    deliveries: tuple[DeliveryStatus, ...] = ()

    @property
    def may_be_taken(self) -> bool:
        """Customs may have it, or one of the offices that it goes to."""
        return any(each.may_be_taken for each in self.deliveries)


class Impossible(Exception):
    """An act that is not possible now; the message stays as it was. The text says what is possible."""


def event_of(act: Act, status: MessageStatus, stage: Stage | None = None) -> Event:
    """What an act means for a message. Raises `Impossible`.

    A message that was accepted keeps its verdict and is delivered again under its submission key, unless it
    is to be replayed from `JUDGEMENT`; any other is judged again. What customs may have can be neither
    rejected nor judged again: the sender would declare it a second time, or customs would have what was
    judged otherwise.
    """
    event = _event(act, status, stage)
    if event is None:
        raise Impossible(_instead(act, status, stage))
    if event in (Event.DISMISSED, Event.REPLAYED) and status.may_be_taken:
        done = "rejected" if act is Act.REJECT else "judged again"
        others = "release" if act is Act.REJECT else "replay --from delivery"
        raise Impossible(
            f"it cannot be {done}, since customs may have it; possible: {others} (customs is asked whether "
            "it has it before it is sent again)"
        )
    return event


def stage_of(status: MessageStatus) -> Stage:
    """Where a replay begins if nobody says: what was accepted is sent again."""
    return Stage.DELIVERY if status.deliveries else Stage.JUDGEMENT


def possible(status: MessageStatus) -> tuple[Act, ...]:
    """The acts that `event_of` lets pass."""
    sent = status.may_be_taken
    return tuple(act for act in Act if _event(act, status) is not None and not (sent and act is Act.REJECT))


def _event(act: Act, status: MessageStatus, stage: Stage | None = None) -> Event | None:
    resumed = Event.RESUMED if status.deliveries else Event.REPLAYED
    event = {
        Act.HOLD: Event.HELD,
        Act.RELEASE: resumed if status.state is State.HELD else None,
        Act.REPLAY: {None: resumed, Stage.JUDGEMENT: Event.REPLAYED, Stage.DELIVERY: Event.RESUMED}[stage],
        Act.REJECT: Event.DISMISSED,
    }[act]
    if event is Event.RESUMED and not status.deliveries:
        return None
    return event if event in TRANSITIONS[status.state] else None


def _instead(act: Act, status: MessageStatus, stage: Stage | None) -> str:
    can = possible(status)
    others = ", ".join(can) or "nothing; it goes on or has ended by itself"
    if act is Act.REPLAY and stage is Stage.DELIVERY and act in can:
        return "it has nothing to deliver, since it is not accepted; possible: replay --from judgement"
    if act is Act.REPLAY and status.state is State.DELIVERED:
        others = "deliveries replay of its delivery, if customs lost it (customs is asked first)"
    return f"a message that is {status.state} cannot be {_DONE[act]}; possible: {others}"


_DONE = {Act.HOLD: "held", Act.RELEASE: "released", Act.REJECT: "rejected", Act.REPLAY: "replayed"}

"""What operators may do to a message: each a transition with a named actor and a reason.

Hold stops a message that customs does not have yet. Release ends a hold: the message continues where it was
stopped. Replay processes a rejected or held message again, from a stage that may be chosen. Reject refuses a
message: its sender gets the final receipt, and the message's agreement, documents and key are released.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.model.states import TRANSITIONS, DeliveryState, Event, State


class MessageAct(StrEnum):
    """The words of the command line."""

    HOLD = "hold"
    RELEASE = "release"
    REJECT = "reject"
    REPLAY = "replay"


class ReplayStage(StrEnum):
    """Where a replay begins: the message is judged again under today's rules, or sent again under its
    submission key after the back-end was asked whether it has it."""

    JUDGEMENT = "judgement"
    DELIVERY = "delivery"


_SENT: Final = (DeliveryState.SENDING, DeliveryState.UNKNOWN, DeliveryState.DELIVERED)


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """A delivery of a message. `unsure`: the outcome of an attempt is not known, and customs has not said
    since that it does not have the message (`Dispatcher`)."""

    state: DeliveryState
    unsure: bool = False

    @property
    def may_be_taken(self) -> bool:
        """Whether customs has the message or may have it, whatever became of the last attempt."""
        return self.unsure or self.state in _SENT


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageStatus:
    """The facts of a message at rest that decide which acts are possible. Only an accepted one has
    deliveries."""

    state: State
    deliveries: tuple[DeliveryStatus, ...] = ()

    @property
    def may_be_taken(self) -> bool:
        """Whether customs, at any of the offices that the message goes to, may have it."""
        return any(each.may_be_taken for each in self.deliveries)


class Impossible(Exception):
    """An act that is not possible now; the message stays as it was. The text says what is possible."""


def event_of(act: MessageAct, status: MessageStatus, stage: ReplayStage | None = None) -> Event:
    """What an act means for a message. Raises `Impossible`.

    An accepted message keeps its verdict and is delivered again under its submission key, unless it is
    replayed from `JUDGEMENT`; any other is judged again. A message that customs may have can be neither
    rejected nor judged again: its sender might declare it a second time, or the new verdict might differ from
    what customs has.
    """
    event = _event(act, status, stage)
    if event is None:
        raise Impossible(_instead(act, status, stage))
    if event in (Event.DISMISSED, Event.REPLAYED) and status.may_be_taken:
        done = "rejected" if act is MessageAct.REJECT else "judged again"
        others = "release" if act is MessageAct.REJECT else "replay --from delivery"
        raise Impossible(
            f"it cannot be {done}, since customs may have it; possible: {others} (customs is asked whether "
            "it has it before it is sent again)"
        )
    return event


def stage_of(status: MessageStatus) -> ReplayStage:
    """Where a replay begins by default: an accepted message is sent again."""
    return ReplayStage.DELIVERY if status.deliveries else ReplayStage.JUDGEMENT


def possible(status: MessageStatus) -> tuple[MessageAct, ...]:
    """The acts for which `event_of` does not raise."""
    deliverable = status.may_be_taken
    return tuple(
        act
        for act in MessageAct
        if _event(act, status) is not None and not (deliverable and act is MessageAct.REJECT)
    )


def _event(act: MessageAct, status: MessageStatus, stage: ReplayStage | None = None) -> Event | None:
    resumed = Event.RESUMED if status.deliveries else Event.REPLAYED
    event = {
        MessageAct.HOLD: Event.HELD,
        MessageAct.RELEASE: resumed if status.state is State.HELD else None,
        MessageAct.REPLAY: {
            None: resumed,
            ReplayStage.JUDGEMENT: Event.REPLAYED,
            ReplayStage.DELIVERY: Event.RESUMED,
        }[stage],
        MessageAct.REJECT: Event.DISMISSED,
    }[act]
    if event is Event.RESUMED and not status.deliveries:
        return None
    return event if event in TRANSITIONS[status.state] else None


def _instead(act: MessageAct, status: MessageStatus, stage: ReplayStage | None) -> str:
    can = possible(status)
    others = ", ".join(can) or "nothing; it goes on or has ended by itself"
    if act is MessageAct.REPLAY and stage is ReplayStage.DELIVERY and act in can:
        return "it has nothing to deliver, since it is not accepted; possible: replay --from judgement"
    if act is MessageAct.REPLAY and status.state is State.DELIVERED:
        others = "deliveries replay of its delivery, if customs lost it (customs is asked first)"
    return f"a message that is {status.state} cannot be {_DONE[act]}; possible: {others}"


_DONE = {
    MessageAct.HOLD: "held",
    MessageAct.RELEASE: "released",
    MessageAct.REJECT: "rejected",
    MessageAct.REPLAY: "replayed",
}

"""Transitions of messages by operators' acts."""

from collections.abc import Mapping
from datetime import datetime

from gateway.model.rejection import Rejection
from gateway.model.states import Event
from gateway.model.transition import (
    Columns,
    Effect,
    OvertakePending,
    ReleaseHoldings,
    Seen,
    SendAgain,
    Transition,
    WithdrawDeliveries,
    hold,
)
from gateway.operate.message_actions import MessageAct, MessageStatus, ReplayStage, event_of


def transition(
    act: MessageAct,
    stage: ReplayStage | None,
    status: MessageStatus,
    message: str,
    actor: str,
    reason: str,
    now: datetime,
    detail: Mapping[str, str],
) -> Transition:
    """The transition for hold, release or replay; `detail` goes into the event. Raises `Impossible`.

    An accepted message that is judged again keeps its key and its agreement for the judgement; its deliveries
    are withdrawn.
    """
    event = event_of(act, status, stage)
    if event is Event.HELD:
        return hold(message, actor, reason, now, **detail)
    again: Effect = WithdrawDeliveries() if event is Event.REPLAYED else SendAgain()
    return Transition(
        message=message,
        event=event,
        actor=actor,
        at=now,
        detail={"reason": reason, **detail},
        columns=Columns(reason=""),
        effects=(again, OvertakePending()),
    )


def rejection(
    rejection: Rejection, actor: str, reason: str, now: datetime, detail: Mapping[str, str]
) -> Transition:
    """The transition for a rejection: everything that the message had taken is released. Its deliveries are
    withdrawn, since a replay may need their keys."""
    return Transition(
        message=rejection.message,
        event=Event.DISMISSED,
        actor=actor,
        at=now,
        seen=Seen(revision=rejection.revision),
        detail={
            "reason": reason,
            "faults": [finding.code for finding in rejection.findings],
            **rejection.trail,
            **detail,
        },
        columns=Columns(reason=""),
        findings=rejection.findings,
        receipts=rejection.receipts,
        effects=(ReleaseHoldings(reason=reason), WithdrawDeliveries()),
    )

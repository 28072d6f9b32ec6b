"""Operators' acts within a transaction that a test has open."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial

from adapters.store.database import Transaction
from adapters.store.write.operator_store import change_message
from gateway.model.rejection import Rejection
from gateway.model.states import State
from gateway.model.transition import Applied, Refusal, Transition
from gateway.operate.message_actions import MessageAct, MessageStatus, ReplayStage, event_of
from gateway.operate.transitions import rejection, transition


def _act(
    act: MessageAct,
    to: Transaction,
    message: str,
    actor: str,
    reason: str,
    now: datetime,
    detail: Mapping[str, str] | None = None,
    stage: ReplayStage | None = None,
) -> State:
    outcome = change_message(
        to,
        message,
        lambda standing: transition(act, stage, standing, message, actor, reason, now, detail or {}),
    )
    assert isinstance(outcome, Applied)
    return outcome.state


hold = partial(_act, MessageAct.HOLD)
release = partial(_act, MessageAct.RELEASE)
replay = partial(_act, MessageAct.REPLAY)


def reject(
    to: Transaction, dismissal: Rejection, actor: str, reason: str, now: datetime
) -> Applied | Refusal:
    def change(status: MessageStatus) -> Transition:
        event_of(MessageAct.REJECT, status)
        return rejection(dismissal, actor, reason, now, {})

    return change_message(to, dismissal.message, change)

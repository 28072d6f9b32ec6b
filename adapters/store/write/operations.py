"""Operators' acts on messages, each one commit with its event."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, select

from adapters.store.apply import apply
from adapters.store.database import Transaction
from adapters.store.read.message_status import standing
from adapters.store.rows import facts_of, received_of
from adapters.store.tables.messages import agreements
from gateway.model.agreements import AgreementKind, Used
from gateway.model.states import State
from gateway.operate.dismissal import Dismissal, Stopped
from gateway.operate.message_actions import Act, Stage, event_of
from gateway.operate.transitions import rejection, transition

_USED: Final = select(agreements.c.number, agreements.c.kind).where(
    agreements.c.number == bindparam("number"), agreements.c.used_by == bindparam("by")
)
NOTHING: Final[Mapping[str, str]] = {}


def hold(
    transaction: Transaction,
    message: str,
    actor: str,
    reason: str,
    now: datetime,
    detail: Mapping[str, str] = NOTHING,
) -> State:
    """The state after it; `detail` stands in its event. Raises `Impossible`, and `KeyError` where there is no
    such message."""
    return _act(transaction, Act.HOLD, None, message, actor, reason, now, detail)


def release(
    transaction: Transaction,
    message: str,
    actor: str,
    reason: str,
    now: datetime,
    detail: Mapping[str, str] = NOTHING,
) -> State:
    """The state after it. Raises `Impossible`, and `KeyError` where there is no such message."""
    return _act(transaction, Act.RELEASE, None, message, actor, reason, now, detail)


def replay(
    transaction: Transaction,
    message: str,
    actor: str,
    reason: str,
    now: datetime,
    detail: Mapping[str, str] = NOTHING,
    stage: Stage | None = None,
) -> State:
    """The state after it, from `stage` or where it fits (`stage_of`).

    Raises `Impossible`, and `KeyError` where there is no such message.
    """
    return _act(transaction, Act.REPLAY, stage, message, actor, reason, now, detail)


def _act(
    transaction: Transaction,
    act: Act,
    stage: Stage | None,
    message: str,
    actor: str,
    reason: str,
    now: datetime,
    detail: Mapping[str, str],
) -> State:
    _row, present = standing(transaction.connection, message)
    return apply(transaction, transition(act, stage, present, message, actor, reason, now, detail))


def stopped(reader: Connection, message: str) -> Stopped:
    """What the final receipt of a rejection is written by. Raises `Impossible`, and `KeyError` where there is
    no such message."""
    row, present = standing(reader, message)
    event_of(Act.REJECT, present)
    used = reader.execute(_USED, {"number": row.agreement, "by": message}).first()
    return Stopped(
        received=received_of(row),
        facts=facts_of(row),
        linked=row.linked,
        uses=None if used is None else Used(number=used.number, kind=AgreementKind(used.kind)),
        revision=row.revision,
    )


def reject(
    transaction: Transaction,
    dismissal: Dismissal,
    actor: str,
    reason: str,
    now: datetime,
    detail: Mapping[str, str] = NOTHING,
) -> State:
    """The state after it; `detail` stands in its event. Raises `Impossible`, and `Superseded` where the
    message has changed since it was read: then nothing is written."""
    _row, present = standing(transaction.connection, dismissal.message)
    event_of(Act.REJECT, present)
    return apply(transaction, rejection(dismissal, actor, reason, now, detail))

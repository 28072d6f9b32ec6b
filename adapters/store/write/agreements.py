"""Agreements in the store: recorded, consumed and released, each in the commit of the message that causes
it."""

from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import bindparam, insert, select, update

from adapters.store.database import Transaction
from adapters.store.tables.messages import agreement_acts, agreements, messages
from adapters.store.write.waits import revision_of
from gateway.model.agreements import (
    Act,
    Agreement,
    AgreementChange,
    AgreementKind,
    RegisteredAgreement,
    after,
)
from gateway.model.message import Arrival
from gateway.model.transition import NotAsRead

ACTOR: Final = "gateway"
AGREEMENT: Final = TypeAdapter(Agreement)

_USED_BY: Final = (
    select(agreements)
    .join(messages, messages.c.agreement == agreements.c.number)
    .where(messages.c.id == bindparam("message_id"), agreements.c.used_by == messages.c.id)
)
_CHANGE: Final = update(agreements).where(
    agreements.c.number == bindparam("agreement_number"), agreements.c.revision == bindparam("seen")
)
_INSERT: Final = insert(agreements)
_ACT: Final = insert(agreement_acts)


def record_notice(
    transaction: Transaction, change: AgreementChange, notice: Arrival, actor: str, now: datetime
) -> None:
    """Writes the change that a notice of the association makes to an agreement."""
    number = change.after.number
    source = {"message": notice.id, "name": notice.name, "sha256": notice.sha256, "size": notice.size}
    if change.seen:
        _change(transaction, change.after, change.seen, now, **source)
    else:
        transaction.connection.execute(
            _INSERT, {"number": number, **_columns(change.after), **source, "revision": 1, "changed_at": now}
        )
    _log(transaction, change.after, str(change.act), actor, notice.id, change.reason, now)


def is_as_judged(transaction: Transaction, used: RegisteredAgreement, message: str) -> bool:
    """Whether agreement and mandate are still as at the judgement."""
    agreement = used.agreement
    if agreement.used_by == message:
        return True  # judged again after a replay
    if revision_of(transaction, agreement.number) != used.revision:
        return False
    return not agreement.mandate or revision_of(transaction, agreement.mandate) == used.under


def consume(transaction: Transaction, used: RegisteredAgreement, message: str, now: datetime) -> None:
    """Records that a declaration was accepted under an agreement; an agreement for a single shipment is
    consumed."""
    agreement = used.agreement
    if agreement.used_by == message:
        return
    if agreement.kind is AgreementKind.PER_SHIPMENT:
        agreement = replace(agreement, state=after(agreement.state, Act.USED), used_by=message)
        _change(transaction, agreement, used.revision, now)
    _log(transaction, agreement, Act.USED, ACTOR, message, "", now)


def release(
    transaction: Transaction, message: str, reason: str, now: datetime, actor: str
) -> Agreement | None:
    """Releases the agreement that a declaration consumed; None if it consumed none."""
    row = transaction.connection.execute(_USED_BY, {"message_id": message}).first()
    if row is None:
        return None
    present = AGREEMENT.validate_python(row.record)
    released = replace(present, state=after(present.state, Act.FREED), used_by=None)
    _change(transaction, released, row.revision, now)
    _log(transaction, released, Act.FREED, actor, message, reason, now)
    return released


def _change(
    transaction: Transaction, agreement: Agreement, seen: int, now: datetime, **source: object
) -> None:
    changed = transaction.connection.execute(
        _CHANGE,
        {
            "agreement_number": agreement.number,
            "seen": seen,
            **_columns(agreement),
            **source,
            "revision": seen + 1,
            "changed_at": now,
        },
    )
    if changed.rowcount == 0:
        raise NotAsRead(agreement.number)


def _columns(agreement: Agreement) -> dict[str, Any]:
    return {
        "kind": agreement.kind,
        "trader": agreement.trader,
        "broker": agreement.broker,
        "state": agreement.state,
        "used_by": agreement.used_by,
        "record": AGREEMENT.dump_python(agreement, mode="json"),
    }


def _log(
    transaction: Transaction,
    agreement: Agreement,
    act: str,
    actor: str,
    message: str,
    reason: str,
    now: datetime,
) -> None:
    transaction.connection.execute(
        _ACT,
        {
            "number": agreement.number,
            "at": now,
            "act": act,
            "actor": actor,
            "state": agreement.state,
            "message": message,
            "reason": reason,
        },
    )

"""Pending receipts: senders are notified that their message is held, or waits because customs is down."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, func, select, update

from adapters.store.database import Transaction
from adapters.store.rows import facts_of, received_of
from adapters.store.tables.messages import NOT_TOLD, WAITS, deliveries, messages, receipts
from adapters.store.write.receipts import put_receipts
from gateway.model.message import Receipt
from gateway.model.pending_receipt import PendingReceipt
from gateway.model.states import State

_final = receipts.alias("final")
_LAST_FINAL: Final = (
    select(func.coalesce(func.max(_final.c.id), 0))
    .where(_final.c.message == messages.c.id, _final.c.final)
    .correlate(messages)
    .scalar_subquery()
)
_HELD: Final = (
    select(messages)
    .where(
        messages.c.state == State.HELD,
        messages.c.kind == "inbound",
        messages.c.moved_at < bindparam("before"),
        ~select(receipts.c.id)
        .where(
            receipts.c.message == messages.c.id,
            receipts.c.verdict == State.HELD,
            ~receipts.c.superseded,
            receipts.c.id > _LAST_FINAL,
        )
        .exists(),
    )
    .order_by(messages.c.seq)
    .limit(bindparam("most"))
)
_NOT_TOLD: Final = (
    select(deliveries.c.message)
    .where(
        NOT_TOLD,
        deliveries.c.destination == bindparam("destination"),
        deliveries.c.created_at < bindparam("before"),
    )
    .order_by(deliveries.c.id)
    .limit(bindparam("most"))
)
_ACCEPTED: Final = select(messages).where(
    messages.c.id.in_(bindparam("ids", expanding=True)), messages.c.state == State.ACCEPTED
)
_STATE: Final = select(messages.c.state).where(messages.c.id == bindparam("wanted"))
# Applies to all deliveries of a message: its sender is notified once, however many offices it goes to.
_TELL: Final = update(deliveries).where(
    deliveries.c.message == bindparam("wanted"), deliveries.c.told_at.is_(None)
)
_STILL: Final = select(deliveries.c.id).where(deliveries.c.message == bindparam("wanted"), WAITS)


def pending_receipts(
    reader: Connection,
    held_before: datetime,
    waiting_before: datetime,
    down: Mapping[str, datetime],
    limit: int,
) -> Sequence[PendingReceipt]:
    """The messages whose senders are to be notified."""
    found = [
        PendingReceipt(received=received_of(row), facts=facts_of(row), down_since=None)
        for row in reader.execute(_HELD, {"before": held_before, "most": limit})
    ]
    for name, since in down.items():
        where = {"destination": name, "before": waiting_before, "most": limit - len(found)}
        ids = list(dict.fromkeys(reader.execute(_NOT_TOLD, where).scalars())) if len(found) < limit else []
        found += [
            PendingReceipt(received=received_of(row), facts=facts_of(row), down_since=since)
            for row in (reader.execute(_ACCEPTED, {"ids": ids}) if ids else ())
        ]
    return found


def send_pending_receipt(
    transaction: Transaction, pending: PendingReceipt, receipt: Receipt, now: datetime
) -> None:
    """Writes a pending receipt, if it is still due."""
    message = {"wanted": pending.received.arrival.id}
    state = transaction.connection.execute(_STATE, message).scalar_one()
    if pending.down_since is None:
        wanted = state == State.HELD
    else:
        waits = transaction.connection.execute(_STILL, message).first() is not None
        # A delivery in progress may return to waiting: its sender is notified then.
        wanted = (
            state == State.ACCEPTED
            and waits
            and transaction.connection.execute(_TELL, {**message, "told_at": now}).rowcount > 0
        )
    if wanted:
        put_receipts(transaction, message["wanted"], [receipt], now)

"""Pending receipts: senders are notified that their message is held, or waits because customs is down."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from adapters.store.claims import TO_NOTIFY
from adapters.store.database import Database, Transaction
from adapters.store.rows import facts_of, received_of
from adapters.store.tables.messages import NOT_TOLD, WAITS, deliveries, messages, receipts
from adapters.store.tables.queues import to_notify
from adapters.store.write.receipts import put_receipts
from gateway.model.message import Receipt
from gateway.model.pending_receipt import PendingReceipt
from gateway.model.states import State
from gateway.run.claims import LEASE

_final = receipts.alias("final")
_LAST_FINAL: Final = (
    select(func.coalesce(func.max(_final.c.id), 0))
    .where(_final.c.message == messages.c.id, _final.c.final)
    .correlate(messages)
    .scalar_subquery()
)
_QUEUED: Final = (
    select(to_notify.c.item).where(to_notify.c.item == messages.c.seq).correlate(messages).exists()
)
_HELD: Final = (
    select(messages.c.account, messages.c.seq)
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
        ~_QUEUED,
    )
    .order_by(messages.c.seq)
    .limit(bindparam("limit"))
)
_NOT_NOTIFIED: Final = (
    select(deliveries.c.message)
    .where(
        NOT_TOLD,
        deliveries.c.destination == bindparam("destination"),
        deliveries.c.created_at < bindparam("before"),
    )
    .order_by(deliveries.c.id)
    .limit(bindparam("limit"))
)
_ACCEPTED: Final = select(messages.c.account, messages.c.seq).where(
    messages.c.id.in_(bindparam("message_ids", expanding=True)), messages.c.state == State.ACCEPTED, ~_QUEUED
)
_QUEUE: Final = insert(to_notify)
_CLAIMED: Final = (
    select(messages)
    .where(messages.c.seq.in_(bindparam("message_seqs", expanding=True)))
    .order_by(messages.c.seq)
)
_WAITS_AT: Final = select(deliveries.c.destination).where(
    NOT_TOLD,
    deliveries.c.message == bindparam("message_id"),
    deliveries.c.destination.in_(bindparam("down", expanding=True)),
)
_STATE: Final = select(messages.c.state).where(messages.c.id == bindparam("message_id"))
# Applies to all deliveries of a message: its sender is notified once, however many offices it goes to.
_MARK_NOTIFIED: Final = update(deliveries).where(
    deliveries.c.message == bindparam("message_id"), deliveries.c.told_at.is_(None)
)
_WAITING: Final = select(deliveries.c.id).where(deliveries.c.message == bindparam("message_id"), WAITS)


class SqlPendingReceipts:
    """gateway.notify.ports.PendingReceiptStore over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(
        self,
        held_before: datetime,
        waiting_before: datetime,
        down: Mapping[str, datetime],
        limit: int,
        now: datetime,
    ) -> Sequence[PendingReceipt]:
        owner, owed = self._database.owner, (held_before, waiting_before, down, limit)
        # Read first, so that an idle node writes nothing.
        if not await self._database.read(
            lambda reader: _owed(reader, *owed) or TO_NOTIFY.due(reader, owner, now)
        ):
            return ()
        return await self._database.write(lambda transaction: _claim(transaction, owner, *owed, now))

    async def send(self, pending: PendingReceipt, receipt: Receipt, now: datetime) -> None:
        owner = self._database.owner
        await self._database.write(lambda transaction: _send(transaction, owner, pending, receipt, now))


def _owed(
    reader: Connection,
    held_before: datetime,
    waiting_before: datetime,
    down: Mapping[str, datetime],
    limit: int,
) -> list[tuple[str, int]]:
    """Accounts and numbers of messages whose senders are to be notified and that are not queued for it."""
    rows = list(reader.execute(_HELD, {"before": held_before, "limit": limit}))
    for name in down:
        if len(rows) < limit:
            where = {"destination": name, "before": waiting_before, "limit": limit - len(rows)}
            ids = list(dict.fromkeys(reader.execute(_NOT_NOTIFIED, where).scalars()))
            rows += reader.execute(_ACCEPTED, {"message_ids": ids}).all() if ids else []
    return list(dict.fromkeys((row.account, row.seq) for row in rows))


def _claim(
    transaction: Transaction,
    owner: str,
    held_before: datetime,
    waiting_before: datetime,
    down: Mapping[str, datetime],
    limit: int,
    now: datetime,
) -> list[PendingReceipt]:
    queued = [
        {"account": account, "item": seq, "due_at": now, "fence": 0}
        for account, seq in _owed(transaction.connection, held_before, waiting_before, down, limit)
    ]
    if queued:
        transaction.connection.execute(_QUEUE, queued)
    claimed = TO_NOTIFY.claim(transaction, owner, limit, now, now + LEASE)
    fences = {claim.item: claim.fence for _account, claim in claimed}
    pending = []
    for row in transaction.connection.execute(_CLAIMED, {"message_seqs": list(fences)}) if fences else ():
        since = None if row.state == State.HELD else _down_since(transaction, row, down)
        if row.state != State.HELD and since is None:  # it went on meanwhile
            TO_NOTIFY.end(transaction, row.seq)
            continue
        pending.append(
            PendingReceipt(
                item=row.seq,
                fence=fences[row.seq],
                received=received_of(row),
                facts=facts_of(row),
                down_since=since,
            )
        )
    return pending


def _down_since(
    transaction: Transaction, row: Row[*tuple[Any, ...]], down: Mapping[str, datetime]
) -> datetime | None:
    """Since when the destination for which an accepted message waits has been down."""
    if row.state != State.ACCEPTED:
        return None
    waits_at = transaction.connection.execute(_WAITS_AT, {"message_id": row.id, "down": list(down)}).scalars()
    return next((down[name] for name in waits_at), None)


def _send(
    transaction: Transaction, owner: str, pending: PendingReceipt, receipt: Receipt, now: datetime
) -> None:
    claim = {pending.item: pending.fence}
    if not TO_NOTIFY.finish(transaction, owner, claim):
        return
    message = {"message_id": pending.received.arrival.id}
    state = transaction.connection.execute(_STATE, message).scalar_one()
    if pending.down_since is None:
        owed = state == State.HELD
    else:
        waits = transaction.connection.execute(_WAITING, message).first() is not None
        # A delivery in progress may return to waiting: its sender is notified then.
        owed = (
            state == State.ACCEPTED
            and waits
            and transaction.connection.execute(_MARK_NOTIFIED, {**message, "told_at": now}).rowcount > 0
        )
    if owed:
        put_receipts(transaction, message["message_id"], [receipt], now)

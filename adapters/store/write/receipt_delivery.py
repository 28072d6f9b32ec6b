"""Deliveries of receipts to accounts that do not fetch them: which are due, and the outcome of each
attempt."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, and_, bindparam, select, update

from adapters.store.claims import TO_POST_OVER_AMQP, TO_POST_TO_FOLDERS, Queue
from adapters.store.database import Database, Transaction
from adapters.store.tables.messages import messages, receipts
from adapters.store.tables.operations import replies
from gateway.model.folders import Folder
from gateway.model.message import ReceiptKind, Reply
from gateway.notify.ports import ReceiptDelivery
from gateway.run.claims import LEASE
from gateway.run.crash_points import crash_point


class SqlReceiptDeliveries:
    """gateway.notify.ports.ReceiptDeliveries over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, account: str | None, limit: int, now: datetime) -> Sequence[ReceiptDelivery]:
        # Read first, so that an idle node writes nothing.
        owner, (queue, part) = self._database.owner, _queue_of(account)
        if not await self._database.read(lambda reader: queue.due(reader, owner, now, part)):
            return ()
        return await self._database.write(lambda transaction: _claim(transaction, owner, account, limit, now))

    @crash_point("note-that-receipts-were-delivered")
    async def posted(self, deliveries: Sequence[ReceiptDelivery], now: datetime) -> None:
        owner = self._database.owner
        await self._database.write(lambda transaction: _posted(transaction, owner, deliveries, now))

    async def later(self, deliveries: Sequence[ReceiptDelivery], next_at: datetime) -> None:
        owner, claims = self._database.owner, _claims(deliveries)
        await self._database.write(
            lambda transaction: TO_POST_OVER_AMQP.put_back(transaction, owner, claims, next_at)
        )


_CLAIMED: Final = (
    select(
        receipts,
        messages.c.name.label("message_name"),
        messages.c.reference,
        replies.c.message_id,
        replies.c.correlation,
        replies.c.reply_to,
    )
    .join(messages, messages.c.id == receipts.c.message)
    .outerjoin(
        replies, and_(replies.c.message == receipts.c.message, replies.c.account == receipts.c.account)
    )
    .where(receipts.c.id.in_(bindparam("receipt_ids", expanding=True)))
    .order_by(receipts.c.id)
)
# Also marked as collected: it has reached its account, as if it had been fetched.
_POSTED: Final = (
    update(receipts)
    .where(receipts.c.id.in_(bindparam("receipt_ids", expanding=True)))
    .values(collected_at=bindparam("at"))
)


def _queue_of(account: str | None) -> tuple[Queue, str]:
    return (TO_POST_OVER_AMQP, "") if account is None else (TO_POST_TO_FOLDERS, account)


def _claim(
    transaction: Transaction, owner: str, account: str | None, limit: int, now: datetime
) -> list[ReceiptDelivery]:
    queue, part = _queue_of(account)
    claimed = queue.claim(transaction, owner, limit, now, now + LEASE, part=part)
    fences = {claim.item: claim.fence for _account, claim in claimed}
    rows = transaction.connection.execute(_CLAIMED, {"receipt_ids": list(fences)}) if fences else ()
    return [_delivery(row, fences[row.id]) for row in rows]


def _posted(
    transaction: Transaction, owner: str, deliveries: Sequence[ReceiptDelivery], now: datetime
) -> None:
    posted = TO_POST_OVER_AMQP.finish(transaction, owner, _claims(deliveries))
    if posted:
        transaction.connection.execute(_POSTED, {"receipt_ids": posted, "at": now})


def _claims(deliveries: Sequence[ReceiptDelivery]) -> dict[int, int]:
    return {delivery.receipt: delivery.fence for delivery in deliveries}


def _delivery(row: Row[*tuple[Any, ...]], fence: int) -> ReceiptDelivery:
    reply = None
    if row.message_id is not None:
        reply = Reply(message_id=row.message_id, correlation=row.correlation, to=row.reply_to)
    return ReceiptDelivery(
        receipt=row.id,
        fence=fence,
        account=row.account,
        message=row.message,
        message_name=row.message_name,
        reference=row.reference or "",
        name=row.name,
        folder=Folder(row.folder),
        kind=ReceiptKind(row.kind),
        verdict=row.verdict,
        final=row.final,
        body=bytes(row.body),
        at=row.created_at,
        reply=reply,
    )

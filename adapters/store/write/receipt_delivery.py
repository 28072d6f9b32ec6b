"""Deliveries of receipts to accounts that do not fetch them: which are due, and the outcome of each
attempt."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, and_, bindparam, select, update

from adapters.store.database import Database
from adapters.store.tables.messages import TO_POST, messages, parties, receipts
from adapters.store.tables.operations import replies
from gateway.model.folders import Folder
from gateway.model.message import ReceiptKind, Reply
from gateway.model.parties import Delivery
from gateway.notify.ports import ReceiptDelivery
from gateway.run.crash_points import crash_point


class SqlReceiptDeliveries:
    """gateway.notify.ports.ReceiptDeliveries over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(
        self, accounts: Sequence[str] | None, limit: int, now: datetime
    ) -> Sequence[ReceiptDelivery]:
        query, where = _DUE, {"now": now, "most": limit, "how": Delivery.AMQP}
        if accounts is not None:
            query, where = _DUE_TO, {**where, "how": Delivery.FOLDER, "accounts": list(accounts)}
        return await self._database.read(
            lambda reader: [_delivery(row) for row in reader.execute(query, where)]
        )

    @crash_point("note-that-receipts-were-delivered")
    async def posted(self, receipts: Sequence[int], now: datetime) -> None:
        await self._set(_POSTED, receipts, {"at": now})

    async def later(self, receipts: Sequence[int], next_at: datetime) -> None:
        await self._set(_LATER, receipts, {"at": next_at})

    async def _set(self, change: Any, wanted: Sequence[int], values: dict[str, datetime]) -> None:
        parameters = {"wanted": list(wanted), **values}
        await self._database.write(lambda transaction: transaction.connection.execute(change, parameters))


_DUE: Final = (
    select(
        receipts,
        messages.c.name.label("message_name"),
        messages.c.reference,
        replies.c.message_id,
        replies.c.correlation,
        replies.c.reply_to,
    )
    .join(messages, messages.c.id == receipts.c.message)
    .join(parties, parties.c.account == receipts.c.account)
    .outerjoin(
        replies, and_(replies.c.message == receipts.c.message, replies.c.account == receipts.c.account)
    )
    .where(
        TO_POST,
        receipts.c.post_at <= bindparam("now"),
        receipts.c.removed_at.is_(None),
        parties.c.delivery == bindparam("how"),
    )
    .order_by(receipts.c.id)
    .limit(bindparam("most"))
)
_DUE_TO: Final = _DUE.where(receipts.c.account.in_(bindparam("accounts", expanding=True)))
_CHOSEN: Final = receipts.c.id.in_(bindparam("wanted", expanding=True))
# Also marked as collected: it has reached its account, as if it had been fetched.
_POSTED: Final = update(receipts).where(_CHOSEN).values(post_at=None, collected_at=bindparam("at"))
_LATER: Final = update(receipts).where(_CHOSEN, TO_POST).values(post_at=bindparam("at"))


def _delivery(row: Row[*tuple[Any, ...]]) -> ReceiptDelivery:
    reply = None
    if row.message_id is not None:
        reply = Reply(message_id=row.message_id, correlation=row.correlation, to=row.reply_to)
    return ReceiptDelivery(
        receipt=row.id,
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

"""Claims over all queues: those of a node that died are put back, those of this node are prolonged."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import bindparam, select, update

from adapters.store.claims import QUEUES, TO_SEND, queue_for_sending
from adapters.store.database import Database, Transaction
from adapters.store.tables.messages import deliveries, messages
from gateway.deliver.settlement import abandoned
from gateway.model.states import State
from gateway.run.claims import LEASE

_ANY: Final = datetime.max.replace(tzinfo=UTC)  # however long a lease lasts
_SENT_BY: Final = (
    select(deliveries.c.id, messages.c.state)
    .join(messages, messages.c.id == deliveries.c.message)
    .where(deliveries.c.id.in_(bindparam("delivery_ids", expanding=True)))
)
_ABANDON: Final = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("delivery_id"))
    .values(unsure=True, alternatives=[], note="the node ended while this was being sent")
)


class SqlClaims:
    """gateway.run.claims.Claims over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take_over(self, now: datetime, *, alone: bool = False) -> int:
        owner, ended_by = self._database.owner, _ANY if alone else now
        # Read first, so that an idle node writes nothing.
        if not await self._database.read(
            lambda reader: any(queue.left_by_others(reader, owner, ended_by) for queue in QUEUES)
        ):
            return 0
        return await self._database.write(lambda transaction: _take_over(transaction, owner, ended_by, now))

    async def renew(self, now: datetime) -> None:
        owner = self._database.owner
        if await self._database.read(lambda reader: any(queue.has_claims(reader, owner) for queue in QUEUES)):
            await self._database.write(lambda transaction: _renew(transaction, owner, now))


def _take_over(transaction: Transaction, owner: str, ended_by: datetime, now: datetime) -> int:
    left = {queue: queue.take_over(transaction, owner, ended_by) for queue in QUEUES}
    _abandon(transaction, left[TO_SEND], now)
    return sum(map(len, left.values()))


def _abandon(transaction: Transaction, sent: Sequence[int], now: datetime) -> None:
    """What may have been sent is asked about first."""
    for row in transaction.connection.execute(_SENT_BY, {"delivery_ids": list(sent)}).all():
        transaction.connection.execute(
            _ABANDON, {"delivery_id": row.id, "state": abandoned(State(row.state))}
        )
    queue_for_sending(transaction, sent, now)


def _renew(transaction: Transaction, owner: str, now: datetime) -> None:
    for queue in QUEUES:
        queue.renew(transaction, owner, now + LEASE)

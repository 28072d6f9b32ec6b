"""Deliveries to back-ends: claimed, settled, and after a crash queried at the back-end before they are sent
again."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import Boolean, Row, bindparam, not_, or_, select, update

from adapters.store.apply import apply_as_read
from adapters.store.claims import TO_SEND, queue_for_sending
from adapters.store.database import Database, Transaction
from adapters.store.index_steps import distinct_values
from adapters.store.tables.messages import ON_THE_WAY, WAITS, deliveries, messages
from adapters.store.tables.queues import to_send
from adapters.store.write.failover import divert
from gateway.deliver.settlement import Attempt, Other, given_up, settled
from gateway.model.delivery import Outgoing
from gateway.model.message import Enclosure, Operation, Submission
from gateway.model.states import DeliveryState, State
from gateway.run.claims import LEASE
from gateway.run.crash_points import crash_point

_ENCLOSURE: Final = TypeAdapter(Enclosure)


class SqlOutbox:
    """gateway.deliver.ports.Outbox over a `Database`. `answer_within` is how long customs has to answer."""

    def __init__(self, database: Database, answer_within: timedelta) -> None:
        self._database = database
        self.answer_within = answer_within
        self._turns = count(1)
        self._served: dict[tuple[str, str], int] = {}  # by destination and account: when it was last served

    async def try_all(self, now: datetime) -> None:
        await self._database.write(
            lambda transaction: transaction.connection.execute(_NOT_YET, {"now": now, "due_at": now})
        )

    async def destinations(self) -> Sequence[str]:
        rows = await self._database.read(lambda reader: reader.execute(_DESTINATIONS).scalars().all())
        return [name for name in rows if name is not None]

    async def claim(self, destination: str, limit: int, now: datetime) -> Sequence[Outgoing]:
        # Read first, so that an idle node writes nothing.
        owner = self._database.owner
        if not await self._database.read(lambda reader: TO_SEND.due(reader, owner, now, part=destination)):
            return ()
        return await self._database.write(
            lambda transaction: self._claim(transaction, destination, limit, now)
        )

    @crash_point("settle-a-delivery")
    async def settle(
        self,
        delivery: Outgoing,
        state: DeliveryState,
        note: str,
        now: datetime,
        next_at: datetime,
        *,
        unsure: bool = False,
        counted: bool = True,
    ) -> bool:
        changed = {
            "state": state,
            "note": note,
            "doubtful": unsure,
            "was_unsure": delivery.unsure or state is DeliveryState.DELIVERED,
            "changed_at": now,
            **({} if counted else {"attempts": delivery.attempts - 1}),
            # A delivery that may have been taken does not move to another back-end any more.
            **({"alternatives": []} if unsure else {}),
        }
        due = now + self.answer_within
        return await self._database.write(
            lambda transaction: _settle(transaction, delivery, changed, next_at, due)
        )

    @crash_point("divert-deliveries")
    async def divert(self, destination: str, usable: Collection[str], note: str, now: datetime) -> int:
        return await divert(self._database, destination, usable, note, now)

    async def give_up(self, destination: str, since: datetime, note: str, now: datetime) -> int:
        where = {"destination": destination, "before": since}
        if not await self._database.read(lambda reader: reader.execute(_OVERDUE, where).first()):
            return 0
        return await self._database.write(lambda transaction: _give_up(transaction, where, note, now))

    @crash_point("claim-a-delivery-uncommitted")
    def _claim(self, transaction: Transaction, destination: str, limit: int, now: datetime) -> list[Outgoing]:
        served = {account: turn for (name, account), turn in self._served.items() if name == destination}
        claimed = TO_SEND.claim(
            *(transaction, self._database.owner, limit, now, now + LEASE),
            served=served,
            part=destination,
        )
        if not claimed:
            return []
        for account, _claim in claimed:
            self._served[destination, account] = next(self._turns)
        fences = {claim.item: claim.fence for _account, claim in claimed}
        rows = transaction.connection.execute(_CLAIMED, {"delivery_ids": list(fences)}).all()
        sending = [{"delivery_id": row.id, "fence": fences[row.id], "changed_at": now} for row in rows]
        transaction.connection.execute(_BEGIN_SENDING, sending)
        return [_outgoing(row, fences[row.id]) for row in rows]


# The destinations that have something to send, found by stepping through the key however much each has.
_NAMES: Final = distinct_values(to_send.c.destination, to_send.c.lease_until.is_(None), name="names")
_DESTINATIONS: Final = select(_NAMES.c.destination)
_AT_DESTINATION: Final = deliveries.c.destination == bindparam("destination")
_CLAIMED: Final = (
    select(deliveries)
    .where(deliveries.c.id.in_(bindparam("delivery_ids", expanding=True)))
    .order_by(deliveries.c.id)
)
_NOT_YET: Final = update(to_send).where(to_send.c.lease_until.is_(None), to_send.c.due_at > bindparam("now"))


def _outgoing(row: Row[*tuple[Any, ...]], fence: int) -> Outgoing:
    """The delivery as it was when it was claimed, with this attempt counted."""
    return Outgoing(
        id=row.id,
        message=row.message,
        attempts=row.attempts + 1,
        fence=fence,
        unknown=row.unsure or row.state == DeliveryState.UNKNOWN,
        submission=Submission(
            key=row.key,
            destination=row.destination,
            envelope=row.envelope,
            package_sha256=row.package_sha256,
            package_name=row.package_name,
            package_size=row.package_size,
            enclosures=tuple(_ENCLOSURE.validate_python(enclosure) for enclosure in row.enclosures),
            about=row.about,
            alternatives=tuple(row.alternatives),
        ),
        since=row.created_at if row.since is None else row.since,
        unsure=row.unsure,
    )


_BEGIN_SENDING: Final = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("delivery_id"))
    .values(state=DeliveryState.SENDING, attempts=deliveries.c.attempts + 1)
)
_SETTLE: Final = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("delivery_id"))
    # An answer that arrived during the attempt proves that customs has it, whatever the attempt returned.
    .values(
        unsure=or_(
            bindparam("doubtful", type_=Boolean),
            deliveries.c.unsure & not_(bindparam("was_unsure", type_=Boolean)),
        )
    )
)
_MESSAGE: Final = select(messages.c.state, messages.c.operation).where(
    messages.c.id == bindparam("message_id")
)
_OTHERS: Final = select(deliveries.c.state, deliveries.c.note).where(
    deliveries.c.message == bindparam("message_id"),
    deliveries.c.id != bindparam("delivery_id"),
    deliveries.c.state != DeliveryState.DELIVERED,
)


@crash_point("settle-a-delivery-uncommitted")
def _settle(
    transaction: Transaction,
    delivery: Outgoing,
    changed: dict[str, Any],
    next_at: datetime,
    answer_due: datetime,
) -> bool:
    if not TO_SEND.holds(transaction, delivery.id, delivery.fence):
        return False
    row = transaction.connection.execute(_MESSAGE, {"message_id": delivery.message}).one()
    others = transaction.connection.execute(
        _OTHERS, {"message_id": delivery.message, "delivery_id": delivery.id}
    ).all()
    settlement = settled(
        Attempt(
            message=delivery.message,
            destination=delivery.submission.destination,
            number=delivery.attempts,
            key=delivery.submission.key,
        ),
        changed["state"],
        changed["note"],
        State(row.state),
        None if row.operation is None else Operation(row.operation),
        [Other(DeliveryState(other.state), other.note) for other in others],
        changed["changed_at"],
        answer_due,
        unsure=changed["doubtful"],
    )
    changed |= {"state": settlement.state, "doubtful": settlement.unsure}
    transaction.connection.execute(_SETTLE, {"delivery_id": delivery.id, **changed})
    queue_for_sending(transaction, [delivery.id], next_at)
    if settlement.changes:
        apply_as_read(transaction, *settlement.changes)
    return True


_OVERDUE: Final = (
    select(
        deliveries.c.id,
        deliveries.c.message,
        deliveries.c.key,
        deliveries.c.unsure,
        deliveries.c.attempts,
        deliveries.c.destination,
    )
    .where(ON_THE_WAY, _AT_DESTINATION, WAITS, deliveries.c.since < bindparam("before"))
    .limit(100)
)
_GIVE_UP: Final = update(deliveries).where(deliveries.c.id == bindparam("delivery_id"), WAITS)


def _give_up(transaction: Transaction, where: Mapping[str, Any], note: str, now: datetime) -> int:
    rows = transaction.connection.execute(_OVERDUE, where).all()
    for row in rows:
        message = transaction.connection.execute(_MESSAGE, {"message_id": row.message}).one()
        attempt = Attempt(message=row.message, destination=row.destination, number=row.attempts, key=row.key)
        settlement = given_up(attempt, note, State(message.state), now, unsure=row.unsure)
        held = {"state": settlement.state, "unsure": settlement.unsure, "note": note, "changed_at": now}
        transaction.connection.execute(_GIVE_UP, {"delivery_id": row.id, **held})
        queue_for_sending(transaction, [row.id], now)
        apply_as_read(transaction, *settlement.changes)
    return len(rows)

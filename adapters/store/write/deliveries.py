"""Deliveries to back-ends: claimed, settled, and after a crash queried at the back-end before they are sent
again."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import Boolean, Connection, Row, bindparam, literal_column, not_, or_, select, update

from adapters.store.apply import apply_as_read
from adapters.store.database import Database, Transaction
from adapters.store.index_steps import distinct_values
from adapters.store.tables.messages import ON_THE_WAY, SENDING, TO_SEND, deliveries, messages
from adapters.store.write.failover import divert
from gateway.deliver.settlement import Attempt, Other, given_up, settled
from gateway.model.message import Enclosure, Operation, Submission
from gateway.model.ports import Outgoing
from gateway.model.states import DeliveryState, State
from gateway.run.crash_points import crash_point
from gateway.run.fairness import in_turn

_ENCLOSURE: Final = TypeAdapter(Enclosure)


class SqlOutbox:
    """gateway.deliver.ports.Outbox over a `Database`. `answer_within` is how long customs has to answer."""

    def __init__(self, database: Database, answer_within: timedelta) -> None:
        self._database = database
        self.answer_within = answer_within
        self._turns = count(1)
        self._served: dict[tuple[str, str], int] = {}  # by destination and account: when it was last served

    async def recover(self) -> int:
        return await self._database.write(_recover)

    async def destinations(self) -> Sequence[str]:
        rows = await self._database.read(lambda reader: reader.execute(_DESTINATIONS).scalars().all())
        return [name for name in rows if name is not None]

    async def claim(self, destination: str, limit: int, now: datetime) -> Sequence[Outgoing]:
        # Read first, so that an idle node writes nothing.
        if not await self._database.read(lambda reader: _oldest(reader, destination, now)):
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
    ) -> None:
        changed = {
            "state": state,
            "note": note,
            "doubtful": unsure,
            "was_unsure": delivery.unsure or state is DeliveryState.DELIVERED,
            "next_at": next_at,
            "changed_at": now,
            **({} if counted else {"attempts": delivery.attempts - 1}),
            # A delivery that may have been taken does not move to another back-end any more.
            **({"alternatives": []} if unsure else {}),
        }
        due = now + self.answer_within
        await self._database.write(lambda transaction: _settle(transaction, delivery, changed, due))

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
        chosen = self._fair(transaction, destination, limit, now)
        if not chosen:
            return []
        rows = transaction.connection.execute(_CHOSEN, {"chosen": chosen}).all()
        transaction.connection.execute(_TAKE, {"claimed": chosen, "now": now})
        return [_outgoing(row) for row in rows]

    def _fair(self, transaction: Transaction, destination: str, limit: int, now: datetime) -> list[int]:
        connection = transaction.connection

        def following(account: str, chosen: Sequence[int]) -> int | None:
            where = {"destination": destination, "of": account, "now": now, "chosen": chosen}
            return connection.execute(_FOLLOWING, where).scalar()

        at_work = Counter(connection.execute(_AT_WORK, {"destination": destination}).scalars())
        oldest = _oldest(connection, destination, now)
        served = {account: turn for (of, account), turn in self._served.items() if of == destination}
        chosen = in_turn(limit, oldest, at_work, following, served)
        for account, _number in chosen:
            self._served[destination, account] = next(self._turns)
        return [number for _account, number in chosen]


_earlier = deliveries.alias("earlier")
# No earlier delivery about the same declaration is open at the same destination: they are sent in order.
_IN_ORDER: Final = or_(
    deliveries.c.about == "",
    ~select(_earlier.c.id)
    .where(
        _earlier.c.about == deliveries.c.about,
        _earlier.c.destination == deliveries.c.destination,
        _earlier.c.id < deliveries.c.id,
        _earlier.c.state.in_(
            [
                literal_column(f"'{state}'")
                for state in (
                    DeliveryState.PENDING,
                    DeliveryState.SENDING,
                    DeliveryState.UNKNOWN,
                    DeliveryState.HELD,
                )
            ]
        ),
    )
    .exists(),
)
# Destinations, and the accounts that have something to send to one, found by stepping through the index
# however much each has: reading the head of the queue instead would hide the others behind one that has more.
_DESTINATIONS: Final = select(distinct_values(deliveries.c.destination, TO_SEND, name="names").c.destination)
_HERE: Final = deliveries.c.destination == bindparam("destination")
_BUSY: Final = distinct_values(deliveries.c.account, TO_SEND, _HERE, name="busy")
_OLDEST_DUE: Final = select(
    _BUSY.c.account,
    select(deliveries.c.id)
    .where(
        *(TO_SEND, _HERE, deliveries.c.account == _BUSY.c.account),
        *(deliveries.c.next_at <= bindparam("now"), _IN_ORDER),
    )
    .order_by(deliveries.c.next_at, deliveries.c.id)
    .limit(1)
    .correlate(_BUSY)
    .scalar_subquery()
    .label("id"),
)
_FOLLOWING: Final = (
    select(deliveries.c.id)
    .where(
        *(TO_SEND, _HERE, deliveries.c.account == bindparam("of")),
        *(deliveries.c.next_at <= bindparam("now"), _IN_ORDER),
        deliveries.c.id.not_in(bindparam("chosen", expanding=True)),
    )
    .order_by(deliveries.c.next_at, deliveries.c.id)
    .limit(1)
)
_AT_WORK: Final = select(deliveries.c.account).where(SENDING, _HERE)
_CHOSEN: Final = (
    select(deliveries)
    .where(deliveries.c.id.in_(bindparam("chosen", expanding=True)))
    .order_by(deliveries.c.id)
)


def _oldest(reader: Connection, destination: str, now: datetime) -> dict[str, int]:
    """The oldest due delivery of each account for a destination."""
    found = reader.execute(_OLDEST_DUE, {"destination": destination, "now": now})
    return {row.account: row.id for row in found if row.id is not None}


def _recover(transaction: Transaction) -> int:
    sending, note = deliveries.c.state == DeliveryState.SENDING, "the node ended while this was being sent"
    held = select(messages.c.id).where(messages.c.state == State.HELD)
    # A delivery that was held while it was being sent is not sent again automatically; a replay asks the
    # back-end about it first.
    stopped = transaction.connection.execute(
        update(deliveries)
        .where(sending, deliveries.c.message.in_(held))
        .values(state=DeliveryState.HELD, note=note, unsure=True)
    )
    unsure = transaction.connection.execute(
        update(deliveries)
        .where(sending)
        .values(state=DeliveryState.UNKNOWN, note=note, unsure=True, alternatives=[])
    )
    # What was repaired while no node ran does not wait until the time that the previous node planned.
    transaction.connection.execute(
        update(deliveries)
        .where(TO_SEND, deliveries.c.next_at > deliveries.c.changed_at)
        .values(next_at=deliveries.c.changed_at)
    )
    return stopped.rowcount + unsure.rowcount


def _outgoing(row: Row[*tuple[Any, ...]]) -> Outgoing:
    """The delivery as it was when it was claimed, with this attempt counted."""
    return Outgoing(
        id=row.id,
        message=row.message,
        attempts=row.attempts + 1,
        unknown=row.unsure or row.state == DeliveryState.UNKNOWN,
        submission=Submission(
            key=row.key,
            destination=row.destination,
            envelope=row.envelope,
            package_sha256=row.package_sha256,
            package_name=row.package_name,
            package_size=row.package_size,
            enclosures=tuple(_ENCLOSURE.validate_python(each) for each in row.enclosures),
            about=row.about,
            alternatives=tuple(row.alternatives),
        ),
        since=row.created_at if row.since is None else row.since,
        unsure=row.unsure,
    )


_TAKE: Final = (
    update(deliveries)
    .where(deliveries.c.id.in_(bindparam("claimed", expanding=True)))
    .values(state=DeliveryState.SENDING, attempts=deliveries.c.attempts + 1, changed_at=bindparam("now"))
)
_SETTLE: Final = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("wanted"), deliveries.c.state == DeliveryState.SENDING)
    # An answer that arrived during the attempt proves that customs has it, whatever the attempt returned.
    .values(
        unsure=or_(
            bindparam("doubtful", type_=Boolean),
            deliveries.c.unsure & not_(bindparam("was_unsure", type_=Boolean)),
        )
    )
)
_MESSAGE: Final = select(messages.c.state, messages.c.operation).where(messages.c.id == bindparam("which"))
_OTHERS: Final = select(deliveries.c.state, deliveries.c.note).where(
    deliveries.c.message == bindparam("which"),
    deliveries.c.id != bindparam("own"),
    deliveries.c.state != DeliveryState.DELIVERED,
)


@crash_point("settle-a-delivery-uncommitted")
def _settle(
    transaction: Transaction, delivery: Outgoing, changed: dict[str, Any], answer_due: datetime
) -> None:
    row = transaction.connection.execute(_MESSAGE, {"which": delivery.message}).one()
    others = transaction.connection.execute(_OTHERS, {"which": delivery.message, "own": delivery.id}).all()
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
        [Other(DeliveryState(each.state), each.note) for each in others],
        changed["changed_at"],
        answer_due,
        unsure=changed["doubtful"],
    )
    changed |= {"state": settlement.state, "doubtful": settlement.unsure}
    transaction.connection.execute(_SETTLE, {"wanted": delivery.id, **changed})
    if settlement.changes:
        apply_as_read(transaction, *settlement.changes)


_OVERDUE: Final = (
    select(
        deliveries.c.id,
        deliveries.c.message,
        deliveries.c.key,
        deliveries.c.unsure,
        deliveries.c.attempts,
        deliveries.c.destination,
    )
    .where(ON_THE_WAY, _HERE, TO_SEND, deliveries.c.since < bindparam("before"))
    .limit(100)
)
_GIVE_UP: Final = update(deliveries).where(deliveries.c.id == bindparam("wanted"), TO_SEND)


def _give_up(transaction: Transaction, where: Mapping[str, Any], note: str, now: datetime) -> int:
    rows = transaction.connection.execute(_OVERDUE, where).all()
    for row in rows:
        message = transaction.connection.execute(_MESSAGE, {"which": row.message}).one()
        attempt = Attempt(message=row.message, destination=row.destination, number=row.attempts, key=row.key)
        settlement = given_up(attempt, note, State(message.state), now, unsure=row.unsure)
        held = {"state": settlement.state, "unsure": settlement.unsure, "note": note, "changed_at": now}
        transaction.connection.execute(_GIVE_UP, {"wanted": row.id, **held})
        apply_as_read(transaction, *settlement.changes)
    return len(rows)

"""Deliveries that move to another back-end while theirs is down; none is ever sent to two."""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, or_, select, update

from adapters.store.apply import apply_as_read
from adapters.store.claims import queue_for_sending
from adapters.store.database import Database, Transaction
from adapters.store.tables.messages import DIVERTIBLE, deliveries, messages
from gateway.model.states import DeliveryState, Event
from gateway.model.transition import Note
from gateway.run.crash_points import crash_point

ACTOR: Final = "gateway"

_other = deliveries.alias("other")
_WAITING: Final = (
    select(
        deliveries.c.id,
        deliveries.c.message,
        deliveries.c.key,
        deliveries.c.about,
        deliveries.c.alternatives,
    )
    .where(
        DIVERTIBLE,
        deliveries.c.destination == bindparam("destination"),
        ~deliveries.c.unsure,
        # Everything about a declaration must be at one back-end. So none of it may have been tried at this
        # one, and the oldest of its deliveries takes the others with it (`_TOGETHER`).
        ~select(_other.c.id)
        .where(
            deliveries.c.about != "",
            _other.c.about == deliveries.c.about,
            _other.c.destination == deliveries.c.destination,
            or_(
                _other.c.state != DeliveryState.PENDING,
                _other.c.unsure,
                _other.c.id < deliveries.c.id,  # it takes this one with it, if it moves
            ),
        )
        .exists(),
    )
    .order_by(deliveries.c.id)
    .limit(200)
)
_TOGETHER: Final = (
    select(deliveries.c.id, deliveries.c.message, deliveries.c.key, messages.c.state)
    .join(messages, messages.c.id == deliveries.c.message)
    .where(
        or_(
            deliveries.c.id == bindparam("delivery_id"),
            (deliveries.c.about == bindparam("about"))
            & (deliveries.c.about != "")
            & (deliveries.c.destination == bindparam("destination")),
        )
    )
    .order_by(deliveries.c.id)
)
_MOVE: Final = update(deliveries).where(deliveries.c.id == bindparam("delivery_id"))


async def divert(
    database: Database, destination: str, usable: Collection[str], note: str, now: datetime
) -> int:
    """See `gateway.deliver.ports.Outbox.divert`."""
    where = {"destination": destination}
    rows = await database.read(lambda reader: reader.execute(_WAITING, where).all())
    if not any(usable_of(row.alternatives, usable) for row in rows):
        return 0
    return await database.write(lambda transaction: _divert(transaction, destination, usable, note, now))


def usable_of(alternatives: Collection[str], usable: Collection[str]) -> str | None:
    """The first of the alternatives that is usable."""
    return next((name for name in alternatives if name in usable), None)


@crash_point("divert-deliveries-uncommitted")
def _divert(
    transaction: Transaction, destination: str, usable: Collection[str], note: str, now: datetime
) -> int:
    moved: set[int] = set()
    for row in transaction.connection.execute(_WAITING, {"destination": destination}).all():
        to = usable_of(row.alternatives, usable)
        if to is None or row.id in moved:
            continue
        # It may move back if the other back-end fails too, since this one never received any of it.
        rest = [name for name in row.alternatives if name != to] + [destination]
        where = {"destination": destination, "about": row.about, "delivery_id": row.id}
        for delivery in transaction.connection.execute(_TOGETHER, where).all():
            transaction.connection.execute(
                _MOVE,
                {
                    "delivery_id": delivery.id,
                    "destination": to,
                    "alternatives": rest,
                    "attempts": 0,
                    "changed_at": now,
                    "note": note,
                },
            )
            queue_for_sending(transaction, [delivery.id], now)
            diverted = Note(
                message=delivery.message,
                word=Event.DIVERTED,
                actor=ACTOR,
                at=now,
                detail={
                    "key": delivery.key,
                    "destination": to,
                    "instead_of": destination,
                    "note": note,
                },
            )
            apply_as_read(transaction, diverted)
            moved.add(delivery.id)
    return len(moved)

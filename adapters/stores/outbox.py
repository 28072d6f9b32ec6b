"""Deliveries to back-ends: claimed, settled, and after a crash asked about before they are sent again."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from pydantic import TypeAdapter
from sqlalchemy import bindparam, select, update

from adapters.stores.database import Database, Transaction
from adapters.stores.tables import TO_SEND, deliveries, messages
from gateway.message import Enclosure, Operation, Submission
from gateway.ports import Outgoing
from gateway.states import DeliveryState, Event, State, advance

ACTOR: Final = "gateway"
_ENCLOSURE: Final = TypeAdapter(Enclosure)


class SqlOutbox:
    """ports.Outbox over a `Database`. `answer_within` is how long customs has to answer what it took."""

    def __init__(self, database: Database, answer_within: timedelta) -> None:
        self._database = database
        self._answer_within = answer_within

    async def recover(self) -> int:
        return await self._database.write(_recover)

    async def claim(self, limit: int, now: datetime) -> Sequence[Outgoing]:
        if (
            await self._database.read(lambda reader: reader.execute(_DUE, {"now": now, "most": 1}).first())
            is None
        ):
            return ()
        return await self._database.write(lambda transaction: _claim(transaction, limit, now))

    async def settle(
        self,
        item: Outgoing,
        state: DeliveryState,
        note: str,
        now: datetime,
        next_at: datetime,
        *,
        unsure: bool = False,
    ) -> None:
        await self._database.write(
            lambda transaction: _settle(
                transaction, item, state, note, now, next_at, now + self._answer_within, unsure
            )
        )


_DUE: Final = (
    select(deliveries)
    .where(TO_SEND, deliveries.c.next_at <= bindparam("now"))
    .order_by(deliveries.c.next_at, deliveries.c.id)
    .limit(bindparam("most"))
)


def _recover(transaction: Transaction) -> int:
    sending, note = deliveries.c.state == DeliveryState.SENDING, "the node ended while this was being sent"
    held = select(messages.c.id).where(messages.c.state == State.HELD)
    # What was held while it was sent is not sent again by itself; a replay asks about it first.
    stopped = transaction.connection.execute(
        update(deliveries)
        .where(sending, deliveries.c.message.in_(held))
        .values(state=DeliveryState.HELD, note=note, unsure=True)
    )
    unsure = transaction.connection.execute(
        update(deliveries).where(sending).values(state=DeliveryState.UNKNOWN, note=note)
    )
    return stopped.rowcount + unsure.rowcount


def _claim(transaction: Transaction, limit: int, now: datetime) -> list[Outgoing]:
    rows = transaction.connection.execute(_DUE, {"now": now, "most": limit}).all()
    if rows:
        transaction.connection.execute(_TAKE, {"claimed": [row.id for row in rows], "now": now})
    return [
        Outgoing(
            id=row.id,
            message=row.message,
            attempts=row.attempts + 1,
            unknown=row.state == DeliveryState.UNKNOWN,
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
        )
        for row in rows
    ]


_TAKE: Final = (
    update(deliveries)
    .where(deliveries.c.id.in_(bindparam("claimed", expanding=True)))
    .values(state=DeliveryState.SENDING, attempts=deliveries.c.attempts + 1, changed_at=bindparam("now"))
)
_SETTLE: Final = update(deliveries).where(
    deliveries.c.id == bindparam("wanted"), deliveries.c.state == DeliveryState.SENDING
)
_MESSAGE: Final = select(messages.c.seq, messages.c.state, messages.c.revision, messages.c.operation).where(
    messages.c.id == bindparam("wanted")
)
_OTHERS: Final = select(deliveries.c.id).where(
    deliveries.c.message == bindparam("wanted"), deliveries.c.state != DeliveryState.DELIVERED
)
_CHANGE: Final = update(messages).where(messages.c.seq == bindparam("wanted"))

# What a delivery's end means for its message; the states that are left out are on the way.
_EVENT_OF: Final = {
    DeliveryState.DELIVERED: Event.TAKEN,
    DeliveryState.REFUSED: Event.UNDELIVERABLE,
    DeliveryState.HELD: Event.UNDELIVERABLE,
}


def _settle(
    transaction: Transaction,
    item: Outgoing,
    state: DeliveryState,
    note: str,
    now: datetime,
    next_at: datetime,
    answer_due: datetime,
    unsure: bool,
) -> None:
    row = transaction.connection.execute(_MESSAGE, {"wanted": item.message}).one()
    happened = _EVENT_OF.get(state)
    if happened is None and row.state == State.HELD:
        state = DeliveryState.HELD  # its message was held meanwhile: it is not tried again
    transaction.connection.execute(
        _SETTLE,
        {
            "wanted": item.id,
            "state": state,
            "note": note,
            "unsure": unsure,
            "next_at": next_at,
            "changed_at": now,
        },
    )
    if happened is None:
        return
    if happened is Event.TAKEN and transaction.connection.execute(_OTHERS, {"wanted": item.message}).first():
        # It goes to two offices (transit), and is delivered when both have it.
        _log(transaction, item, happened, State(row.state), note, now)
        return
    if happened is Event.TAKEN and row.operation == Operation.INFORM:
        happened = Event.SETTLED
    after = advance(State(row.state), happened)
    transaction.connection.execute(
        _CHANGE,
        {
            "wanted": row.seq,
            "state": after,
            "revision": row.revision + 1,
            "moved_at": now,
            **({"answer_due": answer_due} if happened is Event.TAKEN else {"reason": note}),
        },
    )
    _log(transaction, item, happened, after, note, now)


def _log(
    transaction: Transaction, item: Outgoing, happened: Event, after: State, note: str, now: datetime
) -> None:
    transaction.log(
        item.message,
        now,
        happened,
        ACTOR,
        after,
        destination=item.submission.destination,
        attempt=item.attempts,
        key=item.submission.key,
        note=note,
    )

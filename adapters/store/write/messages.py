"""Messages in the store: added, claimed for judgement, decided; each step is one commit."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, exists, insert, or_, select, text, update

from adapters.store.apply import ACTOR, apply, apply_as_read
from adapters.store.database import Database, Transaction
from adapters.store.index_steps import distinct_values
from adapters.store.rows import ARRIVAL, received_of
from adapters.store.tables.messages import AT_WORK, TO_JUDGE, messages
from adapters.store.tables.operations import replies
from adapters.store.write.allowances import count
from adapters.store.write.clock_set_back import end_waits
from adapters.store.write.pending_receipts import pending_receipts, send_pending_receipt
from adapters.store.write.waits import overdue
from gateway.judge.transitions import transitions
from gateway.model.decision import Decision
from gateway.model.folders import Folder
from gateway.model.message import Arrival, Receipt, Received
from gateway.model.parties import Account
from gateway.model.ports import PendingReceipt
from gateway.model.states import Event, State
from gateway.model.transition import Applied, Columns, Refusal, Transition
from gateway.run.crash_points import crash_point
from gateway.run.fairness import in_turn


class SqlMessages:
    """gateway.model.ports.Intake and the writes of judgement over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @crash_point("add-a-message")
    async def add(self, arrival: Arrival, sender: Account | None = None) -> None:
        await self._database.write(lambda transaction: _add(transaction, arrival, sender))

    async def recover(self) -> int:
        return await self._database.write(_recover)

    async def claim(self, limit: int, now: datetime, lease: timedelta) -> Sequence[Received]:
        # Read first, so that an idle node writes nothing.
        if await self._database.read(lambda reader: reader.execute(_ANY_DUE, {"now": now}).first()) is None:
            return ()
        return await self._database.write(lambda transaction: _claim(transaction, limit, now, now + lease))

    @crash_point("decide")
    async def decide(self, decision: Decision, now: datetime) -> Applied | Refusal:
        return await self._database.write(lambda transaction: _decide(transaction, decision, now))

    async def expire(self, now: datetime) -> int:
        if not await self._database.read(lambda reader: overdue(reader, now)):
            return 0
        return await self._database.write(lambda transaction: _expire(transaction, now))

    async def end_waits(self, now: datetime, longest: timedelta) -> int:
        return await self._database.write(lambda transaction: end_waits(transaction, now, longest))

    async def put_back(self, message: str, attempt: int, not_before: datetime, *, crashed: bool) -> None:
        counted = attempt if crashed else attempt - 1
        await self._database.write(
            lambda transaction: _put_back(transaction, message, attempt, counted, not_before)
        )

    async def pending_receipts(
        self, held_before: datetime, waiting_before: datetime, down: Mapping[str, datetime], limit: int
    ) -> Sequence[PendingReceipt]:
        return await self._database.read(
            lambda reader: pending_receipts(reader, held_before, waiting_before, down, limit)
        )

    async def send_pending_receipt(self, pending: PendingReceipt, receipt: Receipt, now: datetime) -> None:
        await self._database.write(
            lambda transaction: send_pending_receipt(transaction, pending, receipt, now)
        )


_earlier = messages.alias("earlier")
# Of several messages woken by a thing that only one can have, only the one that was received first is judged;
# a mandate serves all of them.
_ITS_TURN: Final = or_(
    messages.c.waiting_for.is_(None),
    messages.c.waiting_for.like("mandate %"),
    ~exists().where(
        text("earlier.state = 'received' AND earlier.waiting_for IS NOT NULL"),
        _earlier.c.waiting_for == messages.c.waiting_for,
        _earlier.c.seq < messages.c.seq,
    ),
)
_DUE: Final = (
    TO_JUDGE,
    _ITS_TURN,
    or_(messages.c.lease_until.is_(None), messages.c.lease_until < bindparam("now")),
    or_(messages.c.not_before.is_(None), messages.c.not_before <= bindparam("now")),
)
_RECEIVED: Final = (
    messages.c.seq,
    *ARRIVAL,
    messages.c.attempts,
    messages.c.revision,
    messages.c.link_sequence,
    messages.c.link_digest,
    messages.c.waiting_for,
    messages.c.until,
)
_ANY_DUE: Final = select(messages.c.seq).where(*_DUE).limit(1)
# The accounts that have something to judge, found by stepping through the index however much each has; then
# the oldest message of each. Reading the head of the queue instead would hide the others behind one that has
# more.
_BUSY: Final = distinct_values(messages.c.account, TO_JUDGE, name="busy")
_OLDEST_DUE: Final = select(
    _BUSY.c.account,
    select(messages.c.seq)
    .where(*_DUE, messages.c.account == _BUSY.c.account)
    .order_by(messages.c.seq)
    .limit(1)
    .correlate(_BUSY)
    .scalar_subquery()
    .label("seq"),
)
_FOLLOWING: Final = (
    select(messages.c.seq)
    .where(*_DUE, messages.c.account == bindparam("of"), messages.c.seq > bindparam("after"))
    .order_by(messages.c.seq)
    .limit(1)
)
_AT_WORK: Final = select(messages.c.account).where(AT_WORK)
_CHOSEN: Final = (
    select(*_RECEIVED).where(messages.c.seq.in_(bindparam("chosen", expanding=True))).order_by(messages.c.seq)
)
_INSERT: Final = insert(messages)
_REPLY: Final = insert(replies)
_TAKE: Final = (
    update(messages)
    .where(messages.c.seq.in_(bindparam("claimed", expanding=True)))
    .values(attempts=messages.c.attempts + 1, lease_until=bindparam("lease"))
)
_PUT_BACK: Final = update(messages).where(
    messages.c.id == bindparam("wanted"),
    messages.c.attempts == bindparam("attempt"),
    messages.c.state == State.RECEIVED,
)


@crash_point("add-a-message-uncommitted")
def _add(transaction: Transaction, arrival: Arrival, sender: Account | None) -> None:
    link = transaction.log(
        arrival.id,
        arrival.received_at,
        Event.RECEIVED,
        arrival.account,
        State.RECEIVED,
        channel=arrival.channel,
        name=arrival.name,
        sha256=arrival.sha256,
        size=arrival.size,
    )
    transaction.connection.execute(
        _INSERT,
        {
            "id": arrival.id,
            "kind": "inbound",
            "account": arrival.account,
            "channel": arrival.channel,
            "name": arrival.name,
            "sha256": arrival.sha256,
            "size": arrival.size,
            "received_at": arrival.received_at,
            "folder": Folder.OUTBOX,
            "moved_at": arrival.received_at,
            "state": State.RECEIVED,
            "link_sequence": link.sequence,
            "link_digest": link.digest,
        },
    )
    count(transaction, arrival, sender)
    if arrival.reply is not None:
        transaction.connection.execute(
            _REPLY,
            {
                "message": arrival.id,
                "account": arrival.account,
                "message_id": arrival.reply.message_id,
                "correlation": arrival.reply.correlation,
                "reply_to": arrival.reply.to,
            },
        )


def _recover(transaction: Transaction) -> int:
    freed = transaction.connection.execute(
        update(messages)
        .where(messages.c.state == State.RECEIVED, messages.c.lease_until.is_not(None))
        .values(lease_until=None)
    )
    return freed.rowcount


@crash_point("claim-a-message-uncommitted")
def _claim(transaction: Transaction, limit: int, now: datetime, until: datetime) -> list[Received]:
    connection = transaction.connection

    def following(account: str, chosen: Sequence[int]) -> int | None:
        where = {"now": now, "of": account, "after": chosen[-1]}
        return connection.execute(_FOLLOWING, where).scalar()

    oldest = {row.account: row.seq for row in connection.execute(_OLDEST_DUE, {"now": now})}
    due = {account: seq for account, seq in oldest.items() if seq is not None}
    at_work = Counter(connection.execute(_AT_WORK).scalars())
    chosen = [seq for _account, seq in in_turn(limit, due, at_work, following)]
    if not chosen:
        return []
    transaction.connection.execute(_TAKE, {"claimed": chosen, "lease": until})
    # Read again: with this attempt counted.
    return [received_of(row) for row in transaction.connection.execute(_CHOSEN, {"chosen": chosen})]


@crash_point("decide-uncommitted")
def _decide(transaction: Transaction, decision: Decision, now: datetime) -> Applied | Refusal:
    return apply(transaction, *transitions(decision, now))


def _expire(transaction: Transaction, now: datetime) -> int:
    """Has messages that waited too long judged a last time, and returns how many; `waiting_for` stays set, so
    that the judgement knows what is missing."""
    rows = overdue(transaction.connection, now)
    for row in rows:
        expired = Transition(
            message=row.id,
            event=Event.EXPIRED,
            actor=ACTOR,
            at=now,
            detail={"thing": row.waiting_for},
            columns=Columns(until=None),
        )
        apply_as_read(transaction, expired)
    return len(rows)


def _put_back(
    transaction: Transaction, message: str, attempt: int, counted: int, not_before: datetime
) -> None:
    transaction.connection.execute(
        _PUT_BACK,
        {
            "wanted": message,
            "attempt": attempt,
            "attempts": counted,
            "lease_until": None,
            "not_before": not_before,
        },
    )

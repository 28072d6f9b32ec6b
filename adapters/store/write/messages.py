"""The way of a message through the store: added, claimed for judgement, decided; each step is one commit."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, exists, func, insert, or_, select, text, update

from adapters.store.database import Database, Transaction
from adapters.store.rows import arrival_of, received_of
from adapters.store.tables.messages import AT_WORK, TO_JUDGE, deliveries, holders, messages
from adapters.store.tables.operations import replies
from adapters.store.write.allowances import count
from adapters.store.write.clock_set_back import end_waits
from adapters.store.write.effects import write_consequences
from adapters.store.write.in_force import restored_since
from adapters.store.write.pending_receipts import announce, untold
from adapters.store.write.receipts import give_again, named, put_receipts
from adapters.store.write.release_claims import give_back
from adapters.store.write.search_index import fact_columns, note_faults
from adapters.store.write.waits import any_overdue, expire, settle_versions
from gateway.model.decision import Decision
from gateway.model.message import ATTACHMENT, Arrival, Key, Receipt, Received, Submission
from gateway.model.parties import Account
from gateway.model.ports import Folder, LateDecision, Superseded, Untold
from gateway.model.states import DeliveryState, Event, State, advance
from gateway.model.waits import spelt

ACTOR: Final = "gateway"

# A message moves when it is judged; what is waiting or held stays where the sender last saw it.
_FOLDER_AFTER: Final[Mapping[State, Folder]] = {
    State.RECEIVED: Folder.OUTBOX,
    State.ACCEPTED: Folder.SENTBOX,
    State.CLOSED: Folder.SENTBOX,
    State.REJECTED: Folder.FAILBOX,
}

# Accepted, or sound so far.
_SOUND: Final = (Event.PASSED, Event.KEPT, Event.LACKS)


class SqlMessages:
    """ports.Intake and ports.MessageStore over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, arrival: Arrival, sender: Account | None = None) -> None:
        await self._database.write(lambda transaction: _add(transaction, arrival, sender))

    async def recover(self) -> int:
        return await self._database.write(_recover)

    async def claim(self, limit: int, now: datetime, lease: timedelta) -> Sequence[Received]:
        # A look first, so that an idle node writes nothing.
        if await self._database.read(lambda reader: reader.execute(_ANY_DUE, {"now": now}).first()) is None:
            return ()
        return await self._database.write(lambda transaction: _claim(transaction, limit, now, now + lease))

    async def decide(self, decision: Decision, now: datetime) -> State:
        return await self._database.write(lambda transaction: _decide(transaction, decision, now))

    async def expire(self, now: datetime) -> int:
        if not await self._database.read(lambda reader: any_overdue(reader, now)):
            return 0
        return await self._database.write(lambda transaction: expire(transaction, now))

    async def end_waits(self, now: datetime, longest: timedelta) -> int:
        return await self._database.write(lambda transaction: end_waits(transaction, now, longest))

    async def put_back(self, message: str, attempt: int, not_before: datetime, *, crashed: bool) -> None:
        counted = attempt if crashed else attempt - 1
        await self._database.write(
            lambda transaction: _put_back(transaction, message, attempt, counted, not_before)
        )

    async def untold(
        self, held_before: datetime, waiting_before: datetime, down: Mapping[str, datetime], limit: int
    ) -> Sequence[Untold]:
        return await self._database.read(
            lambda reader: untold(reader, held_before, waiting_before, down, limit)
        )

    async def announce(self, untold: Untold, receipt: Receipt, now: datetime) -> None:
        await self._database.write(lambda transaction: announce(transaction, untold, receipt, now))


_earlier = messages.alias("earlier")
# Of those that were woken by one thing which only one can have, the one that was received first: a mandate
# serves all of them.
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
    messages.c.id,
    messages.c.account,
    messages.c.channel,
    messages.c.name,
    messages.c.sha256,
    messages.c.size,
    messages.c.received_at,
    messages.c.attempts,
    messages.c.revision,
    messages.c.link_sequence,
    messages.c.link_digest,
    messages.c.waiting_for,
    messages.c.until,
)
_ANY_DUE: Final = select(messages.c.seq).where(*_DUE).limit(1)
# The accounts that have something to judge, from one to the next by the index however much each has; then the
# oldest of each. To look so far into the queue instead would hide the others behind one that has more.
_FIRST = select(func.min(messages.c.account).label("account")).where(TO_JUDGE).cte("busy", recursive=True)
_BUSY: Final = _FIRST.union_all(
    select(
        select(func.min(messages.c.account))
        .where(TO_JUDGE, messages.c.account > _FIRST.c.account)
        .correlate(_FIRST)
        .scalar_subquery()
    ).where(_FIRST.c.account.is_not(None))
)
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
_TO_DECIDE: Final = select(
    messages.c.seq,
    messages.c.id,
    messages.c.account,
    messages.c.channel,
    messages.c.name,
    messages.c.sha256,
    messages.c.size,
    messages.c.received_at,
    messages.c.folder,
    messages.c.state,
    messages.c.attempts,
    messages.c.revision,
    messages.c.link_sequence,
).where(messages.c.id == bindparam("wanted"))
_INSERT: Final = insert(messages)
_REPLY: Final = insert(replies)
_TAKE: Final = (
    update(messages)
    .where(messages.c.seq.in_(bindparam("claimed", expanding=True)))
    .values(attempts=messages.c.attempts + 1, lease_until=bindparam("lease"))
)
_CHANGE: Final = update(messages).where(messages.c.seq == bindparam("wanted"))
_PUT_BACK: Final = update(messages).where(
    messages.c.id == bindparam("wanted"),
    messages.c.attempts == bindparam("attempt"),
    messages.c.state == State.RECEIVED,
)
_OF_KEY: Final = (
    (holders.c.party == bindparam("of_party"))
    & (holders.c.family == bindparam("of_family"))
    & (holders.c.type == bindparam("of_type"))
    & (holders.c.reference == bindparam("of_reference"))
)
_HOLDER: Final = select(holders.c.message).where(_OF_KEY)
_HAND_ON: Final = update(holders).where(_OF_KEY)
_HOLD: Final = insert(holders)
_SEND: Final = insert(deliveries)


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


def _fair(transaction: Transaction, limit: int, now: datetime) -> list[int]:
    """Which messages are next: the oldest of the account that has the fewest at work, so that one account's
    thousand slow packages keep another's only message waiting for one of them."""
    at_work = Counter(transaction.connection.execute(_AT_WORK).scalars())
    oldest = {
        account: seq
        for account, seq in transaction.connection.execute(_OLDEST_DUE, {"now": now})
        if seq is not None
    }
    chosen: list[int] = []
    while oldest and len(chosen) < limit:
        account = min(oldest, key=lambda each: (at_work[each], oldest[each]))
        after = oldest.pop(account)
        chosen.append(after)
        at_work[account] += 1
        following = transaction.connection.execute(_FOLLOWING, {"now": now, "of": account, "after": after})
        if (seq := following.scalar()) is not None:
            oldest[account] = seq
    return chosen


def _claim(transaction: Transaction, limit: int, now: datetime, until: datetime) -> list[Received]:
    chosen = _fair(transaction, limit, now)
    if not chosen:
        return []
    transaction.connection.execute(_TAKE, {"claimed": chosen, "lease": until})
    # As they are now: with this attempt counted.
    return [received_of(row) for row in transaction.connection.execute(_CHOSEN, {"chosen": chosen})]


def _decide(transaction: Transaction, decision: Decision, now: datetime) -> State:
    row = transaction.connection.execute(_TO_DECIDE, {"wanted": decision.message}).one()
    if row.attempts != decision.attempt or row.state != State.RECEIVED:
        raise LateDecision(decision.message)
    if decision.name not in (None, row.name):
        raise Superseded(decision.message)
    state = advance(State(row.state), decision.event)
    if decision.event is Event.REFUSED and row.revision:  # it may have been accepted before
        give_back(transaction, decision.message, "judged again", now)
    if decision.event in _SOUND and decision.facts is not None and decision.facts.key.type != ATTACHMENT:
        settle_versions(transaction, decision.message, decision.facts, now)
    if decision.event in (Event.PASSED, Event.KEPT) and decision.facts is not None:
        _take_key(transaction, decision.message, decision.facts.key, decision.holder)
    if decision.submissions:
        # The home of which this one is a copy may have judged and sent it after it was copied.
        unsure = restored_since(transaction.connection, row.link_sequence or 0)
        for submission in decision.submissions:
            _put_delivery(transaction, row.account, decision.message, submission, now, unsure=unsure)
    given: Sequence[Receipt] = ()
    if decision.event is Event.REPEATED and decision.linked is not None:
        give_again(transaction, decision.message, row.name, decision.linked, now)
    else:
        given = put_receipts(transaction, decision.message, decision.receipts, now)
    write_consequences(transaction, decision, arrival_of(row), now)
    transaction.connection.execute(
        _CHANGE,
        {
            "wanted": row.seq,
            "state": state,
            "folder": _FOLDER_AFTER.get(state, row.folder),
            "moved_at": now,
            "revision": row.revision + 1,
            "lease_until": None,
            "findings": [asdict(found) for found in decision.findings],
            "reason": decision.reason,
            "linked": decision.linked,
            "waiting_for": None if decision.lack is None else decision.lack.thing,
            "spelt": None if decision.lack is None else spelt(decision.lack.thing),
            "until": None if decision.lack is None else decision.lack.until,
            **({} if decision.facts is None else fact_columns(decision.facts)),
            **({} if decision.matter.use is None else {"agreement": decision.matter.use.agreement.number}),
            **({} if decision.matter.hint is None else {"hint": asdict(decision.matter.hint)}),
        },
    )
    note_faults(transaction, row.seq, decision.findings, row.revision)
    transaction.log(
        decision.message,
        now,
        decision.event,
        ACTOR,
        state,
        attempt=decision.attempt,
        faults=[found.rule or found.code for found in decision.findings],
        reason=decision.reason,
        linked=decision.linked,
        **({} if decision.lack is None else {"waiting_for": decision.lack.thing}),
        **named(decision.trail, given),
    )
    return state


def _take_key(transaction: Transaction, message: str, key: Key, expected: str | None) -> None:
    where = {f"of_{name}": value for name, value in asdict(key).items()}
    present = transaction.connection.execute(_HOLDER, where).scalar_one_or_none()
    if present == message:  # replayed after it was accepted
        return
    if present != expected:
        raise Superseded(message)
    if present is None:
        transaction.connection.execute(_HOLD, {**asdict(key), "message": message})
    else:
        transaction.connection.execute(_HAND_ON, {**where, "message": message})


def _put_delivery(
    transaction: Transaction,
    account: str,
    message: str,
    submission: Submission,
    now: datetime,
    *,
    unsure: bool,
) -> None:
    """`unsure`: customs may have it already, so that it is asked before it is sent, and nobody else is."""
    values = asdict(submission) | ({"alternatives": []} if unsure else {})
    transaction.connection.execute(
        _SEND,
        {
            **values,
            "message": message,
            "account": account,
            "state": DeliveryState.UNKNOWN if unsure else DeliveryState.PENDING,
            "unsure": unsure,
            "next_at": now,
            "since": now,
            "created_at": now,
            "changed_at": now,
        },
    )


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

"""Messages that wait for a named thing, and messages that were woken by it and are not decided yet."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, FromClause, Row, bindparam, func, or_, select

from adapters.store.database import Transaction
from adapters.store.read.register_queries import spelt_names
from adapters.store.tables.messages import IN_WAIT, WOKEN, agreements, messages
from gateway.model.agreements import AgreementKind
from gateway.model.decision import Wait
from gateway.model.message import ATTACHMENT, Facts, Version
from gateway.model.waits import Awaited, AwaitedKind

_REVISION: Final = select(agreements.c.revision).where(agreements.c.number == bindparam("number"))
_BETWEEN: Final = select(func.coalesce(func.sum(agreements.c.revision), 0)).where(
    agreements.c.trader == bindparam("trader"),
    agreements.c.broker == bindparam("broker"),
    agreements.c.kind == AgreementKind.LONG_TERM,
)
_own = messages.alias("own")
_repeat = messages.alias("repeat")


def _place(version: FromClause) -> ColumnElement[int]:
    """The place of a version in the order of receipt: that of the newest message that repeats it, if any."""
    repeats = (_repeat.c.linked == version.c.id, _repeat.c.content == version.c.content)
    newest = select(func.max(_repeat.c.seq)).where(*repeats).correlate(version).scalar_subquery()
    return func.coalesce(newest, version.c.seq)


_OWN_PLACE: Final = select(_place(_own)).where(_own.c.id == bindparam("message")).scalar_subquery()
_STATE: Final = (
    *(messages.c.seq, messages.c.state, messages.c.revision, messages.c.folder),
    messages.c.waiting_for,
)
_FOR: Final = select(messages.c.id, *_STATE).where(IN_WAIT, messages.c.waiting_for == bindparam("awaited"))
_FOR_SPELT: Final = select(messages.c.id, *_STATE).where(IN_WAIT, messages.c.spelt == bindparam("awaited"))
_ONE_OF: Final = select(messages.c.id, *_STATE).where(
    IN_WAIT, messages.c.waiting_for >= bindparam("least"), messages.c.waiting_for < bindparam("below")
)
_WOKEN_BY: Final = (
    select(messages.c.seq)
    .where(WOKEN, messages.c.waiting_for == bindparam("awaited"))
    .order_by(messages.c.seq)
    .limit(1)
)
_WOKEN_BY_SPELT: Final = (
    select(messages.c.seq)
    .where(WOKEN, messages.c.spelt == bindparam("awaited"))
    .order_by(messages.c.seq)
    .limit(1)
)
# The other messages with the same key that are not decided, but were found sound so far.
VERSIONS: Final = select(
    messages.c.id,
    messages.c.content,
    (_place(messages) > _OWN_PLACE).label("later"),
    _place(messages).label("place"),
    *_STATE,
).where(
    messages.c.party == bindparam("party"),
    messages.c.family == bindparam("family"),
    messages.c.type == bindparam("type"),
    messages.c.reference == bindparam("reference"),
    messages.c.id != bindparam("message"),
    or_(IN_WAIT, WOKEN),
)
# PDFs that were sent separately.
_ATTACHED = select(messages.c.id).where(IN_WAIT, messages.c.type == ATTACHMENT)
_SEPARATE: Final = _ATTACHED.where(messages.c.spelt.in_(bindparam("awaited", expanding=True)))
_OF_ITS_NAME: Final = _ATTACHED.where(messages.c.waiting_for == bindparam("awaited"))
_OVERDUE: Final = (
    select(messages.c.id, *_STATE)
    .where(IN_WAIT, messages.c.until <= bindparam("now"))
    .order_by(messages.c.until)
    .limit(100)
)

Waiting = Row[*tuple[Any, ...]]


def revision_of(transaction: Transaction, number: str) -> int:
    """How often the agreement has changed; 0 if it is unknown."""
    return transaction.connection.execute(_REVISION, {"number": number}).scalar_one_or_none() or 0


def revisions_between(transaction: Transaction, trader: str, broker: str) -> int:
    """How often all mandates between the two parties have changed."""
    pair = {"trader": trader, "broker": broker}
    return int(transaction.connection.execute(_BETWEEN, pair).scalar_one())


def waiting_for(reader: Connection, awaited: Awaited) -> Sequence[Waiting]:
    """The messages that wait for this thing, in the order of receipt."""
    key = awaited.spelling
    query, name = (_FOR, str(awaited)) if key is None else (_FOR_SPELT, key)
    return reader.execute(query, {"awaited": name}).all()


def waiting_for_one_of(reader: Connection, number: str) -> Sequence[Waiting]:
    """The messages that wait for one of several agreements, including this one."""
    # By the index: "!" is the character after the blank.
    kind = AwaitedKind.ONE_OF_AGREEMENTS
    rows = reader.execute(_ONE_OF, {"least": f"{kind} ", "below": f"{kind}!"}).all()
    return [row for row in rows if number in row.waiting_for.split()[1:]]


def claimants(reader: Connection, taken: Iterable[Awaited]) -> Iterator[int]:
    """The places of messages that were woken by one of these things, or gave up waiting for it, and are not
    decided yet: of each thing only the first in the order of receipt, however many there are."""
    for awaited in taken:
        key = awaited.spelling
        query, name = (_WOKEN_BY, str(awaited)) if key is None else (_WOKEN_BY_SPELT, key)
        yield from reader.execute(query, {"awaited": name}).scalars()


def versions_of(reader: Connection, message: str, facts: Facts) -> Sequence[Waiting]:
    """The other versions of this message that wait, or were woken and are not decided yet, in the order of
    receipt."""
    rows = reader.execute(VERSIONS, {**asdict(facts.key), "message": message}).all()
    return sorted(rows, key=lambda row: row.place)


def version(row: Waiting) -> Version:
    """One of `versions_of`."""
    return Version(id=row.id, content=row.content, later=bool(row.later))


def overdue(reader: Connection, now: datetime) -> Sequence[Waiting]:
    """Some of the messages that have waited too long, longest overdue first."""
    return reader.execute(_OVERDUE, {"now": now}).all()


def still_missing(transaction: Transaction, wait: Wait, replaced: Sequence[str]) -> bool:
    """Whether the thing is still as the judgement saw it, or has not arrived since; `replaced` do not count
    as that thing."""
    match wait.awaited.kind:
        case AwaitedKind.AGREEMENT | AwaitedKind.ONE_OF_AGREEMENTS:
            return sum(revision_of(transaction, number) for number in wait.awaited.names) == wait.seen
        case AwaitedKind.MANDATE:
            return revisions_between(transaction, *wait.awaited.names) == wait.seen
        case AwaitedKind.DOCUMENT:
            others = transaction.connection.execute(_SEPARATE, {"awaited": spelt_names(*wait.awaited.names)})
        case AwaitedKind.DECLARATION:
            # Another PDF with exactly the name of one that waits for its declaration.
            others = transaction.connection.execute(_OF_ITS_NAME, {"awaited": str(wait.awaited)})
        case _:
            return True
    return set(others.scalars()) <= set(replaced)

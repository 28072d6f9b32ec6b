"""Messages that wait for a named thing: what wakes them is the thing's coming, in the same commit."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, or_, select, update

from adapters.store.database import Transaction
from adapters.store.tables.messages import IN_WAIT, WOKEN, messages
from adapters.store.write.receipts import put_receipts, unsigned
from adapters.store.write.search_index import note_faults
from gateway.model.decision import Finished
from gateway.model.message import Facts, Version, repeated, replaces
from gateway.model.ports import Folder, Superseded
from gateway.model.states import Event, State, advance
from gateway.model.waits import spelt

ACTOR: Final = "gateway"

_own = messages.alias("own")
_OWN_SEQ: Final = select(_own.c.seq).where(_own.c.id == bindparam("message")).scalar_subquery()
_STATE: Final = (messages.c.seq, messages.c.id, messages.c.state, messages.c.revision)
_FOR: Final = select(*_STATE).where(IN_WAIT, messages.c.waiting_for == bindparam("thing"))
_FOR_SPELT: Final = select(*_STATE).where(IN_WAIT, messages.c.spelt == bindparam("thing"))
_ONE_OF: Final = select(*_STATE, messages.c.waiting_for).where(
    IN_WAIT, messages.c.waiting_for >= bindparam("least"), messages.c.waiting_for < bindparam("below")
)
_BEFORE: Final = (
    select(messages.c.seq)
    .where(WOKEN, messages.c.waiting_for == bindparam("thing"), messages.c.seq < _OWN_SEQ)
    .limit(1)
)
_BEFORE_SPELT: Final = (
    select(messages.c.seq)
    .where(WOKEN, messages.c.spelt == bindparam("thing"), messages.c.seq < _OWN_SEQ)
    .limit(1)
)
# The other messages of a key that are not decided, but were judged sound so far.
VERSIONS: Final = select(*_STATE, messages.c.content, (messages.c.seq > _OWN_SEQ).label("later")).where(
    messages.c.party == bindparam("party"),
    messages.c.family == bindparam("family"),
    messages.c.type == bindparam("type"),
    messages.c.reference == bindparam("reference"),
    messages.c.id != bindparam("message"),
    or_(IN_WAIT, WOKEN),
)
_OVERDUE: Final = (
    select(*_STATE, messages.c.waiting_for)
    .where(IN_WAIT, messages.c.until <= bindparam("now"))
    .order_by(messages.c.until)
    .limit(100)
)
_ONE: Final = select(*_STATE, messages.c.name).where(messages.c.id == bindparam("wanted"))
_CHANGE: Final = update(messages).where(messages.c.seq == bindparam("wanted"))


def wake(transaction: Transaction, thing: str, now: datetime) -> None:
    """Has every message that waits for `thing` judged again, in the order of receipt where only one can have
    it: each keeps its claim (`waiting_for`) until it is decided."""
    key = spelt(thing)
    waiting = (_FOR, thing) if key is None else (_FOR_SPELT, key)
    for row in transaction.connection.execute(waiting[0], {"thing": waiting[1]}).all():
        _judge_again(transaction, row, Event.CAME, thing, now)


def wake_one_of(transaction: Transaction, kind: str, name: str, now: datetime) -> None:
    """Has every message judged again that waits for one of several things of a kind, this among them."""
    # By the index: "!" is the character after the blank.
    rows = transaction.connection.execute(_ONE_OF, {"least": f"{kind} ", "below": f"{kind}!"}).all()
    for row in rows:
        if name in row.waiting_for.split()[1:]:
            thing = f"{kind.removesuffix('s')} {name}"
            _judge_again(transaction, row, Event.CAME, thing, now, waiting_for=thing)


def claimed_before(transaction: Transaction, thing: str, message: str) -> bool:
    """Whether one that was received before `message` was woken by this thing, or gave up waiting for it, and
    is not decided yet."""
    key = spelt(thing)
    before = (_BEFORE, thing) if key is None else (_BEFORE_SPELT, key)
    found = transaction.connection.execute(before[0], {"thing": before[1], "message": message})
    return found.first() is not None


def settle_versions(transaction: Transaction, message: str, facts: Facts, now: datetime) -> None:
    """Has the versions of this message that wait judged again, in the commit of one that is sound: they end
    by it. Raises `Superseded` where there is one by which it would end itself, since it was judged."""
    rows = transaction.connection.execute(VERSIONS, {**asdict(facts.key), "message": message}).all()
    standing = [Version(id=row.id, content=row.content, later=bool(row.later)) for row in rows]
    if replaces(standing, facts.content) or repeated(standing, facts.content):
        raise Superseded(message)
    for row in rows:
        if row.state == State.WAITING:
            _judge_again(transaction, row, Event.CAME, f"version {message}", now, waiting_for=None)


def any_overdue(reader: Connection, now: datetime) -> bool:
    return reader.execute(_OVERDUE, {"now": now}).first() is not None


def expire(transaction: Transaction, now: datetime) -> int:
    """Has what waited too long judged a last time, and returns how many that are; what it waited for stays
    written, so that the judgement knows."""
    rows = transaction.connection.execute(_OVERDUE, {"now": now}).all()
    for row in rows:
        _judge_again(transaction, row, Event.EXPIRED, row.waiting_for, now, until=None)
    return len(rows)


def finish(transaction: Transaction, finished: Finished, event: Event, by: str, now: datetime) -> None:
    """Brings a message to its end, linked to the one that does so: it joins that (`JOINED`) or gives it its
    place (`REPLACED`). Raises `Superseded` where it does not wait any more, or not under that name."""
    row = transaction.connection.execute(_ONE, {"wanted": finished.message}).one()
    if row.state != State.WAITING or row.name != finished.name:
        raise Superseded(finished.message)
    state = advance(State(row.state), event)
    transaction.connection.execute(
        _CHANGE,
        {
            "wanted": row.seq,
            "state": state,
            "folder": Folder.SENTBOX if event is Event.JOINED else Folder.FAILBOX,
            "moved_at": now,
            "revision": row.revision + 1,
            "waiting_for": None,
            "until": None,
            "linked": by,
            "findings": [asdict(found) for found in finished.findings],
        },
    )
    note_faults(transaction, row.seq, finished.findings, row.revision)
    given = put_receipts(transaction, finished.message, finished.receipts, now)
    faults = [found.code for found in finished.findings]
    told = {"linked": by, "faults": faults, **unsigned(given)}
    transaction.log(finished.message, now, event, ACTOR, state, **told)


def _judge_again(
    transaction: Transaction,
    row: Row[*tuple[Any, ...]],
    event: Event,
    thing: str,
    now: datetime,
    **changed: str | None,
) -> None:
    state = advance(State(row.state), event)
    transaction.connection.execute(
        _CHANGE,
        {
            "wanted": row.seq,
            "state": state,
            "folder": Folder.OUTBOX,
            "moved_at": now,
            "revision": row.revision + 1,
            "attempts": 0,
            "lease_until": None,
            "not_before": None,
            **changed,
        },
    )
    transaction.log(row.id, now, event, ACTOR, state, thing=thing)

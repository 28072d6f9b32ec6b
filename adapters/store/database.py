"""One database: readers that do not wait for writers, and one writer that puts many changes into one commit.

A change is a function over a `Transaction`. Changes that arrive while a commit is in progress share the next
one. A change that fails before it has written anything is left out; where one fails later, all that share its
commit are undone and made again, each in a commit of its own. So a change may run twice, but only one run of
it counts. A change is done when its future is done: after the commit has been synced.
"""

import asyncio
import hashlib
import json
import secrets
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, TypeVar, cast

from sqlalchemy import Connection, Engine, create_engine, event, insert, select
from sqlalchemy.exc import DatabaseError

from adapters.store.outcomes import Outcome, Outcomes, PartialOutcome
from adapters.store.prepared import PreparedConnection
from adapters.store.tables.messages import events
from gateway.model.message import ChainLink

T = TypeVar("T")

GENESIS: Final = "0" * 64
_LARGEST_GROUP: Final = 128
_STATEMENTS: Final = 512  # that the driver keeps parsed for a connection; the store has some 300
CLOCK: Final = "clock"  # the name of the clock's events in the log
CLOCK_ACCEPTED: Final = "clock_accepted"


def sqlite_engine(path: Path, *, read_only: bool = False) -> Engine:
    """An engine for the SQLite file at `path`: WAL, synchronous=FULL."""
    # AUTOCOMMIT: `Database` begins transactions with BEGIN IMMEDIATE; the driver does not.
    engine = create_engine(
        f"sqlite:///{path}",
        isolation_level="AUTOCOMMIT",
        connect_args={"check_same_thread": False, "timeout": 30, "cached_statements": _STATEMENTS},
        pool_reset_on_return=None,  # for the same reason there is nothing to roll back
        hide_parameters=True,  # a logged error must not show the values of a statement
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA busy_timeout=30000")
        connection.execute("PRAGMA foreign_keys=ON")
        if read_only:
            connection.execute("PRAGMA query_only=ON")

    return engine


def chained(before: str, entry: Mapping[str, object]) -> str:
    """The digest of the log including an entry: SHA-256 over the previous digest, a line break and the
    canonical text of the entry, which is JSON with sorted keys, no white space, UTF-8."""
    return _digest(before, _canonical(entry))


_canonical: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
# Queries look for `"name": "value"` in it.
_stored: Final = json.JSONEncoder(sort_keys=True, ensure_ascii=False).encode
_quoted: Final = json.encoder.encode_basestring  # as `_canonical` does with a string


def _digest(before: str, text: str) -> str:
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()


def results_of(outcomes: Sequence[T | BaseException]) -> list[T]:
    """The results of `Database.write_all`. Raises the first exception, where there is one; the changes of the
    others are committed all the same."""
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return cast(list[T], outcomes)


class Unfinished(Exception):
    """A change failed that had written something. Its cause is the exception that the change raised."""


class Transaction:
    """The connection and the event log of one commit; every change works with one."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._driver = cast(sqlite3.Connection, connection.connection.dbapi_connection)
        last = connection.execute(_LAST_EVENT).first()
        self._end = (
            ChainLink(sequence=0, digest=GENESIS)
            if last is None
            else ChainLink(sequence=last.sequence, digest=last.digest)
        )
        self._latest: datetime | None = None if last is None else last.latest
        # Nobody reads the log within a commit and nobody else writes it, so one statement can write the
        # events of all its changes.
        self._events: list[dict[str, object]] = []

    def log(
        self, message: str, at: datetime, happened: str, actor: str, state: StrEnum, **detail: object
    ) -> ChainLink:
        """Appends an event and returns its place; `detail` must be JSON and hold no payload. An event that
        does not concern a message is logged under the name of its subject, with the state of that subject."""
        filled = {key: value for key, value in detail.items() if value not in (None, "", [], {})}
        # The canonical text of the entry (`chained`), since most of it is a few strings.
        text = (
            f'{{"actor":{_quoted(actor)},"at":"{at.isoformat()}","detail":{_canonical(filled)},'
            f'"event":{_quoted(happened)},"message":{_quoted(message)},"state":{_quoted(state)}}}'
        )
        digest = _digest(self._end.digest, text)
        self._end = ChainLink(sequence=self._end.sequence + 1, digest=digest)
        if self._latest is None or happened == CLOCK_ACCEPTED or at > self._latest:
            self._latest = at
        self._events.append(
            {
                "sequence": self._end.sequence,
                "message": message,
                "at": at,
                "event": happened,
                "actor": actor,
                "state": state,
                "detail": _stored(filled),
                "digest": digest,
                "latest": self._latest,
            }
        )
        return self._end

    def attempt(self, change: "Callable[[Transaction], T]") -> tuple[T | None, BaseException | None]:
        """The result of a change, or the exception that it raised before it wrote anything; the log is then
        as before. Raises `Unfinished` where it had written something."""
        end, latest, count, written = self._end, self._latest, len(self._events), self._driver.total_changes
        try:
            return change(self), None
        except BaseException as error:
            # No savepoints: SQLite would copy every page that the change touches into a file of its own.
            if self._driver.total_changes != written:
                raise Unfinished from error
            self._end, self._latest = end, latest
            del self._events[count:]
            return None, error

    def write_log(self) -> None:
        """Writes the events of all changes; the last step before the commit."""
        if self._events:
            self.connection.execute(_INSERT_EVENT, self._events)


_LAST_EVENT: Final = (
    select(events.c.sequence, events.c.digest, events.c.latest).order_by(events.c.sequence.desc()).limit(1)
)
_INSERT_EVENT: Final = insert(events)

_Waiting = Future[Any] | Outcome | PartialOutcome
_Job = tuple[Callable[[Transaction], Any], _Waiting]
_Query = tuple[Callable[[Connection], Any], Outcome]
_READERS: Final = 2


class Database:
    """Group commit over one engine. `write` and `read` may be called from any thread or event loop."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.owner = secrets.token_hex(8)  # names this opening of the store in claims (`claims`)
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._queries: SimpleQueue[_Query | None] = SimpleQueue()
        self._readers: list[threading.Thread] = []  # started with the first query
        self._outcomes: Outcomes | None = None
        self._closed = False
        self._writer = threading.Thread(target=self._write_forever, name="store-write", daemon=True)
        self._writer.start()

    def submit(self, change: Callable[[Transaction], T]) -> "Future[T]":
        """The change's result once it is committed and synced, or the exception that it raised, with nothing
        written."""
        future: Future[T] = Future()
        self._refuse_if_closed()
        self._jobs.put((change, future))
        return future

    def rehearsed(self, change: Callable[[Transaction], T]) -> T:
        """The result of a change, or the exception that it raises; nothing is kept. Other changes wait
        meanwhile."""
        with PreparedConnection(self.engine) as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                return change(Transaction(connection))
            finally:
                connection.exec_driver_sql("ROLLBACK")

    async def write(self, change: Callable[[Transaction], T]) -> T:
        self._refuse_if_closed()
        outcome = self._of_this_loop().new()
        self._jobs.put((change, outcome))
        result: T = await outcome.future
        return result

    async def write_all(self, changes: Sequence[Callable[[Transaction], T]]) -> list[T | BaseException]:
        """The same for several changes, of which each may fail by itself: its result, or what it raised."""
        if not changes:
            return []
        self._refuse_if_closed()
        whole, outcomes = self._of_this_loop().several(len(changes))
        for job in zip(changes, outcomes, strict=True):
            self._jobs.put(job)
        return await whole

    async def read(self, query: Callable[[Connection], T]) -> T:
        self._refuse_if_closed()
        outcome = self._of_this_loop().new()
        while len(self._readers) < _READERS:
            reader = threading.Thread(target=self._read_forever, name="store-read", daemon=True)
            self._readers.append(reader)
            reader.start()
        self._queries.put((query, outcome))
        result: T = await outcome.future
        return result

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise RuntimeError("the store is closed")

    def _of_this_loop(self) -> Outcomes:
        loop = asyncio.get_running_loop()
        if self._outcomes is None or self._outcomes.loop is not loop:
            self._outcomes = Outcomes(loop)
        return self._outcomes

    def _read_forever(self) -> None:
        with ExitStack() as stack:
            connection: Connection | None = None
            while (job := self._queries.get()) is not None:
                query, outcome = job
                if not outcome.set_running_or_notify_cancel():
                    continue
                # Whatever happens is for whoever waits: a reader that ended would leave all others waiting.
                try:
                    if connection is None:
                        connection = stack.enter_context(PreparedConnection(self.engine))
                    outcome.set_result(query(connection))
                except BaseException as error:
                    outcome.set_exception(error)

    def close(self) -> None:
        """Finishes what was submitted, then closes the connections."""
        self._closed = True
        self._jobs.put(None)
        self._writer.join()
        for _ in self._readers:
            self._queries.put(None)
        for reader in self._readers:
            reader.join()
        self.engine.dispose()

    def _write_forever(self) -> None:
        with ExitStack() as stack:
            connection: Connection | None = None
            closing = False
            while not closing:
                group: list[_Job] = []
                job = self._jobs.get()
                while job is not None:
                    if job[1].set_running_or_notify_cancel():
                        group.append(job)
                    if self._jobs.empty() or len(group) == _LARGEST_GROUP:
                        break
                    job = self._jobs.get()
                closing = job is None
                if not group:
                    continue
                try:
                    if connection is None:
                        connection = stack.enter_context(PreparedConnection(self.engine))
                except BaseException as error:
                    for _change, future in group:
                        future.set_exception(error)
                else:
                    _commit(connection, group)


def _commit(connection: Connection, group: list[_Job]) -> None:
    outcomes: list[tuple[_Waiting, Any, BaseException | None]] = []
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        transaction = Transaction(connection)
        for change, future in group:
            outcomes.append((future, *transaction.attempt(change)))
        transaction.write_log()
        connection.exec_driver_sql("COMMIT")
    except BaseException as error:  # a full disk, a broken file: every change in the group must get the error
        with suppress(DatabaseError):
            connection.exec_driver_sql("ROLLBACK")
        if isinstance(error, Unfinished) and len(group) > 1:
            for job in group:
                _commit(connection, [job])
            return
        cause = error.__cause__ if isinstance(error, Unfinished) else error
        outcomes = [(future, None, cause) for _change, future in group]
    for future, result, failure in outcomes:
        if failure is None:
            future.set_result(result)
        else:
            future.set_exception(failure)

"""Fills a store with copies of a declaration that the product has processed, row by row and in full size."""

import hashlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from gateway.model.message import new_id

TEMPLATE: Final = "TEMPLATE"  # what the reference of the declaration begins with

# All were received within the last days, before any reminder of documents would be due.
_EVERY: Final = timedelta(seconds=3)
_TIMES: Final = (
    *("received_at", "moved_at", "created_at", "changed_at", "collected_at", "since", "at", "latest"),
    *("released_at", "due_at", "remind_at", "told_at", "answer_due"),
)
_TABLES: Final = (
    *("messages", "events", "deliveries", "receipts", "holders", "obligations", "requests", "replies"),
    "agreement_acts",
)
_NUMBER: Final = {"messages": "seq", "events": "sequence", "holders": "", "obligations": "", "replies": ""}

Row = tuple[Any, ...]
# A copy's value for a column, by the number of the copy.
Column = Callable[[int], Any]


def multiply(store: Path, copies: int) -> None:
    """Adds copies of the one declaration in a store that nobody has open. Its log is no chain afterwards."""
    with closing(sqlite3.connect(store, isolation_level=None)) as connection:
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-262144"):
            connection.execute(f"PRAGMA {pragma}")
        # Indexes are made afterwards, which is several times as quick.
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql <> ''"
        ).fetchall()
        for name, _sql in indexes:
            connection.execute(f"DROP INDEX {name}")
        template = _Template(connection, copies)
        connection.execute("BEGIN")
        for table in _TABLES:
            columns, rows = template.rows(table)
            marks = ", ".join("?" * len(columns))
            connection.executemany(
                f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608
                (tuple(each(copy) for each in row) for copy in range(copies) for row in rows),
            )
        connection.execute("COMMIT")
        for _name, sql in indexes:
            connection.execute(sql)
        connection.execute("PRAGMA journal_mode=WAL")


class _Template:
    """The rows of the declaration, each column as a function of the number of the copy."""

    def __init__(self, connection: sqlite3.Connection, copies: int) -> None:
        self._connection = connection
        self._copies = copies
        ((self._id, reference, seq_no, entry_id),) = self._select(
            "SELECT id, reference, seq_no, entry_id FROM messages WHERE kind = 'inbound'"
        )
        self._messages = self._select(
            "SELECT id FROM messages WHERE id = ? OR linked = ? ORDER BY seq", self._id, self._id
        )
        (first,) = self._select("SELECT min(received_at) FROM messages")
        self._first: int = first[0]
        self._marks: dict[str, Sequence[str]] = {
            reference: [f"C{copy:07}" for copy in range(copies)],
            # Customs' own numbers go on from 1.
            seq_no: [f"{seq_no[:5]}{5 * 10**12 + copy:013}" for copy in range(copies)],
            entry_id: [f"{entry_id[:9]}{5 * 10**8 + copy:09}" for copy in range(copies)],
        }
        for number, (id_,) in enumerate(self._messages):
            self._marks[id_] = [self._new_id(number, copy) for copy in range(copies)]
        digests = self._select("SELECT sha256, content, body_digest FROM messages")
        for digest in {each for row in digests for each in row if each is not None}:
            self._marks[digest] = [
                hashlib.sha256(f"{digest}{copy}".encode()).hexdigest() for copy in range(copies)
            ]
        events = self._select(f"SELECT sequence FROM events WHERE message IN {self._those} ORDER BY 1")  # noqa: S608
        self._places = {sequence: place for place, (sequence,) in enumerate(events)}
        ((self._end_of_log,),) = self._select("SELECT max(sequence) FROM events")

    @property
    def _those(self) -> str:
        return "(" + ", ".join(f"'{id_}'" for (id_,) in self._messages) + ")"

    def rows(self, table: str) -> tuple[list[str], list[list[Column]]]:
        """The names of the columns, and the rows of one copy."""
        column = "id" if table == "messages" else "message"
        cursor = self._connection.execute(
            f"SELECT * FROM {table} WHERE {column} IN {self._those} ORDER BY rowid"  # noqa: S608
        )
        names = [name for name, *_ in cursor.description]
        rows: list[Row] = cursor.fetchall()
        number, last = _NUMBER.get(table, "id"), 0
        if number:
            ((last,),) = self._select(f"SELECT max({number}) FROM {table}")  # noqa: S608
        made = [
            [
                _numbered(last + 1 + place, len(rows)) if name == number else self._column(name, value)
                for name, value in zip(names, row, strict=True)
            ]
            for place, row in enumerate(rows)
        ]
        return names, made

    def _column(self, name: str, value: Any) -> Column:
        if value is not None and name in _TIMES:
            return lambda copy: value - self._ago(copy)
        if name == "link_sequence":
            return _numbered(self._end_of_log + 1 + self._places[value], len(self._places))
        if isinstance(value, str):
            here = {mark: copies for mark, copies in self._marks.items() if mark in value}
            if len(here) == 1 and value in here:
                return here[value].__getitem__
            if here:
                return _replaced(value, here)
        return lambda _copy: value

    def _ago(self, copy: int) -> int:
        """Microseconds before the template: the last copy is the newest."""
        return (self._copies - copy) * (_EVERY // timedelta(microseconds=1))

    def _new_id(self, number: int, copy: int) -> str:
        at = datetime.fromtimestamp((self._first - self._ago(copy)) / 1e6, UTC)
        return new_id(at, hashlib.sha256(f"{number}-{copy}".encode()).digest())

    def _select(self, query: str, *values: str) -> list[Row]:
        return self._connection.execute(query, values).fetchall()


def _numbered(first: int, step: int) -> Column:
    return lambda copy: first + copy * step


def _replaced(value: str, marks: Mapping[str, Sequence[str]]) -> Column:
    def text(copy: int) -> str:
        made = value
        for mark, copies in marks.items():
            made = made.replace(mark, copies[copy])
        return made

    return text

"""The calls to a simulated back-end and its answers, in a SQLite file that survives a kill of the process.

Used by one thread at a time. Every transaction that has returned is in the file.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from gateway.model.answer import Answer
from gateway.model.delivery import Outcome

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS calls (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, key TEXT NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS answers (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL REFERENCES submissions (key),
    name TEXT NOT NULL, body BLOB NOT NULL, acknowledged INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS answers_to_give ON answers (id) WHERE NOT acknowledged;
CREATE TABLE IF NOT EXISTS serials (name TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT;
"""


class AnswerLog:
    """Calls, answers and serial numbers. `tables` is SQL that creates the other tables, among them
    `submissions` with the submission's `key` as its primary key."""

    def __init__(self, file: Path, tables: str) -> None:
        # Opened in one thread and used in another; never in both at a time.
        self._connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA busy_timeout = 10000")
        self._connection.executescript(tables + _TABLES)

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction: all or nothing, and durable once the block has ended."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.rollback()
            raise

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    @contextmanager
    def undone_alone(self) -> Iterator[None]:
        """A part of the caller's transaction that an exception undoes without the rest of it."""
        self._connection.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            if self.in_transaction:
                self._connection.execute("ROLLBACK TO part")
                self._connection.execute("RELEASE part")
            raise
        self._connection.execute("RELEASE part")

    def has(self, key: str) -> bool:
        row = self._connection.execute("SELECT 1 FROM submissions WHERE key = ?", (key,)).fetchone()
        return row is not None

    def next_serial(self, name: str) -> int:
        """The next number of a series, from 1, in the caller's transaction: none is skipped or used twice."""
        row = self._connection.execute(
            "INSERT INTO serials (name, last) VALUES (?, 1)"
            " ON CONFLICT (name) DO UPDATE SET last = last + 1 RETURNING last",
            (name,),
        ).fetchone()
        return int(row[0])

    def note_call(self, key: str, outcome: Outcome, reason: str, at: datetime) -> None:
        self._connection.execute(
            "INSERT INTO calls (at, key, outcome, reason) VALUES (?, ?, ?, ?)",
            (at.isoformat(), key, outcome.value, reason),
        )

    def queue(self, key: str, answers: Sequence[tuple[str, bytes]]) -> None:
        """Adds answers to the submission `key`, as (name, body), in the order in which they will be given."""
        self._connection.executemany(
            "INSERT INTO answers (key, name, body) VALUES (?, ?, ?)",
            [(key, name, body) for name, body in answers],
        )

    def answers(self, limit: int) -> list[Answer]:
        rows = self._connection.execute(
            "SELECT id, key, name, body FROM answers WHERE NOT acknowledged ORDER BY id LIMIT ?", (limit,)
        )
        return [Answer(id=str(id_), name=name, body=body, key=key) for id_, key, name, body in rows]

    def next_due(self, now: datetime) -> float | None:
        """Seconds until the next answer is due, 0 where one is; None where there is none to give."""
        row = self._connection.execute("SELECT 1 FROM answers WHERE NOT acknowledged").fetchone()
        return None if row is None else 0.0

    def acknowledge(self, ids: Sequence[str]) -> None:
        self._connection.executemany(
            "UPDATE answers SET acknowledged = 1 WHERE id = ?", [(int(id_),) for id_ in ids]
        )

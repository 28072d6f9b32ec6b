"""What customs has taken and still has to say, in a SQLite file of its own: it survives being killed.

Used by one thread. Whoever opens the file afterwards finds every transaction that had returned.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway.ports import Answer, Outcome

_TABLES = """
CREATE TABLE IF NOT EXISTS calls (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, key TEXT NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS submissions (
    key TEXT PRIMARY KEY, agent TEXT NOT NULL, reference TEXT NOT NULL, operation TEXT NOT NULL,
    seq_no TEXT NOT NULL, entry_id TEXT NOT NULL, taken_at TEXT NOT NULL, envelope BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS submissions_by_reference ON submissions (agent, reference);
CREATE TABLE IF NOT EXISTS answers (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL REFERENCES submissions (key),
    name TEXT NOT NULL, body BLOB NOT NULL, acknowledged INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS answers_to_give ON answers (id) WHERE NOT acknowledged;
CREATE TABLE IF NOT EXISTS serials (name TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A submission that customs took. `seq_no` and `entry_id` are empty where none was allotted."""

    key: str
    agent: str
    reference: str
    operation: str
    seq_no: str
    entry_id: str
    taken_at: datetime
    envelope: bytes


class Ledger:
    def __init__(self, file: Path) -> None:
        # Made by one thread, used by another; never by both at a time.
        self._connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA busy_timeout = 10000")
        self._connection.executescript(_TABLES)

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and durable when it has ended."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.rollback()
            raise

    def has(self, key: str) -> bool:
        row = self._connection.execute("SELECT 1 FROM submissions WHERE key = ?", (key,)).fetchone()
        return row is not None

    def seq_no_of(self, agent: str, reference: str) -> str | None:
        """The unified number that this agent's reference was last given, if any."""
        row = self._connection.execute(
            "SELECT seq_no FROM submissions WHERE agent = ? AND reference = ? AND seq_no <> ''"
            " ORDER BY rowid DESC LIMIT 1",
            (agent, reference),
        ).fetchone()
        return None if row is None else str(row[0])

    def next_serial(self, name: str) -> int:
        """Counts up from 1 under each name, in the caller's transaction: no number is lost or given twice."""
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

    def take(self, taken: Taken, answers: Sequence[tuple[str, bytes]]) -> None:
        """Notes a submission and queues its answers, (name, body) in the order in which they are given."""
        self._connection.execute(
            "INSERT INTO submissions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                taken.key,
                taken.agent,
                taken.reference,
                taken.operation,
                taken.seq_no,
                taken.entry_id,
                taken.taken_at.isoformat(),
                taken.envelope,
            ),
        )
        self._connection.executemany(
            "INSERT INTO answers (key, name, body) VALUES (?, ?, ?)",
            [(taken.key, name, body) for name, body in answers],
        )

    def answers(self, limit: int) -> list[Answer]:
        rows = self._connection.execute(
            "SELECT id, key, name, body FROM answers WHERE NOT acknowledged ORDER BY id LIMIT ?", (limit,)
        )
        return [Answer(id=str(id_), name=name, body=body, key=key) for id_, key, name, body in rows]

    def acknowledge(self, ids: Sequence[str]) -> None:
        self._connection.executemany(
            "UPDATE answers SET acknowledged = 1 WHERE id = ?", [(int(id_),) for id_ in ids]
        )

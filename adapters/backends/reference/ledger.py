"""What customs has taken and still has to say (see `adapters.backends.book`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from adapters.backends.book import Book
from adapters.backends.reference.courses import Act, Wait
from gateway.ports import Answer, Clock

_TABLES = """
CREATE TABLE IF NOT EXISTS submissions (
    key TEXT PRIMARY KEY, agent TEXT NOT NULL, reference TEXT NOT NULL, operation TEXT NOT NULL,
    seq_no TEXT NOT NULL, entry_id TEXT NOT NULL, taken_at TEXT NOT NULL, envelope BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS submissions_by_reference ON submissions (agent, reference);
CREATE TABLE IF NOT EXISTS reviews (
    key TEXT PRIMARY KEY REFERENCES submissions (key), waits TEXT NOT NULL, since TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS acts (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, key TEXT NOT NULL, act TEXT NOT NULL, actor TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A submission in the queue of review by hand; `since` it waits for what it waits for now."""

    taken: Taken
    waits: Wait
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """An answer that is not given before `at`."""

    name: str
    body: bytes
    at: datetime


class Ledger(Book):
    """`clock` says which answers are due."""

    def __init__(self, file: Path, clock: Clock) -> None:
        super().__init__(file, _TABLES)
        self._clock = clock
        with self.transaction():  # two who open it at once must not both find the column missing
            columns = [row[1] for row in self._connection.execute("PRAGMA table_info (answers)")]
            if "due" not in columns:
                self._connection.execute("ALTER TABLE answers ADD COLUMN due TEXT NOT NULL DEFAULT ''")

    def seq_no_of(self, agent: str, reference: str) -> str | None:
        """The unified number that this agent's reference was last given, if any."""
        row = self._connection.execute(
            "SELECT seq_no FROM submissions WHERE agent = ? AND reference = ? AND seq_no <> ''"
            " ORDER BY rowid DESC LIMIT 1",
            (agent, reference),
        ).fetchone()
        return None if row is None else str(row[0])

    def take(self, taken: Taken, answers: Sequence[Due]) -> None:
        """Notes a submission and queues its answers in the order in which they are given."""
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
        self.queue_due(taken.key, answers)

    def queue_due(self, key: str, answers: Sequence[Due]) -> None:
        self._connection.executemany(
            "INSERT INTO answers (key, name, body, due) VALUES (?, ?, ?, ?)",
            [(key, answer.name, answer.body, _instant(answer.at)) for answer in answers],
        )

    def answers(self, limit: int) -> list[Answer]:
        """Those that are due, in the order in which they were queued."""
        rows = self._connection.execute(
            "SELECT id, key, name, body FROM answers WHERE NOT acknowledged AND due <= ? ORDER BY id LIMIT ?",
            (_instant(self._clock()), limit),
        )
        return [Answer(id=str(id_), name=name, body=body, key=key) for id_, key, name, body in rows]

    def wait(self, key: str, waits: Wait | None, since: datetime) -> None:
        """Puts a submission into the queue, or notes what it waits for now; with None takes it out."""
        self._connection.execute("DELETE FROM reviews WHERE key = ?", (key,))
        if waits is not None:
            self._connection.execute("INSERT INTO reviews VALUES (?, ?, ?)", (key, waits, since.isoformat()))

    def waiting(self) -> list[Waiting]:
        """The queue, who has waited longest first."""
        rows = self._connection.execute(
            "SELECT reviews.waits, reviews.since, submissions.* FROM reviews JOIN submissions USING (key)"
            " ORDER BY reviews.since, submissions.rowid"
        )
        return [
            Waiting(
                taken=Taken(
                    key=key,
                    agent=agent,
                    reference=reference,
                    operation=operation,
                    seq_no=seq_no,
                    entry_id=entry_id,
                    taken_at=datetime.fromisoformat(taken_at),
                    envelope=envelope,
                ),
                waits=Wait(waits),
                since=datetime.fromisoformat(since),
            )
            for waits, since, key, agent, reference, operation, seq_no, entry_id, taken_at, envelope in rows
        ]

    def note_act(self, key: str, act: Act, actor: str, reason: str, at: datetime) -> None:
        self._connection.execute(
            "INSERT INTO acts (at, key, act, actor, reason) VALUES (?, ?, ?, ?, ?)",
            (at.isoformat(), key, act, actor, reason),
        )


def _instant(at: datetime) -> str:
    """A form in which the earlier is the lesser text."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")

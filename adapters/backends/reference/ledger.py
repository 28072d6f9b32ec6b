"""What customs has taken and still has to say (see `adapters.backends.book`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from adapters.backends.book import Book

_TABLES = """
CREATE TABLE IF NOT EXISTS submissions (
    key TEXT PRIMARY KEY, agent TEXT NOT NULL, reference TEXT NOT NULL, operation TEXT NOT NULL,
    seq_no TEXT NOT NULL, entry_id TEXT NOT NULL, taken_at TEXT NOT NULL, envelope BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS submissions_by_reference ON submissions (agent, reference);
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


class Ledger(Book):
    def __init__(self, file: Path) -> None:
        super().__init__(file, _TABLES)

    def seq_no_of(self, agent: str, reference: str) -> str | None:
        """The unified number that this agent's reference was last given, if any."""
        row = self._connection.execute(
            "SELECT seq_no FROM submissions WHERE agent = ? AND reference = ? AND seq_no <> ''"
            " ORDER BY rowid DESC LIMIT 1",
            (agent, reference),
        ).fetchone()
        return None if row is None else str(row[0])

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
        self.queue(taken.key, answers)

"""The ledger of the customs sandbox: submissions, waiting declarations, decisions, and answers with the time
when they are given (see `adapters.sandbox.answer_log`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from adapters.sandbox.answer_log import AnswerLog
from adapters.sandbox.customs import papers, record_book
from adapters.sandbox.customs.courses import WaitReason
from gateway.model.answer import Answer
from gateway.model.clock import Clock
from gateway.run.crash_points import crash_point

_TABLES = """
CREATE TABLE IF NOT EXISTS submissions (
    key TEXT PRIMARY KEY, agent TEXT NOT NULL, reference TEXT NOT NULL, operation TEXT NOT NULL,
    seq_no TEXT NOT NULL, entry_id TEXT NOT NULL, taken_at TEXT NOT NULL, envelope BLOB NOT NULL,
    transit_no TEXT NOT NULL DEFAULT '', trader TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX IF NOT EXISTS submissions_by_reference ON submissions (agent, reference);
CREATE TABLE IF NOT EXISTS reviews (
    key TEXT PRIMARY KEY REFERENCES submissions (key), waits TEXT NOT NULL, since TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '', due TEXT NOT NULL DEFAULT '0'
) STRICT;
CREATE TABLE IF NOT EXISTS acts (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, key TEXT NOT NULL, act TEXT NOT NULL, actor TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
"""
# Columns that tables of earlier releases lack, with their definition.
_LATER: Final = (
    ("answers", "due", "TEXT NOT NULL DEFAULT ''"),
    ("submissions", "transit_no", "TEXT NOT NULL DEFAULT ''"),
    ("submissions", "trader", "TEXT NOT NULL DEFAULT ''"),
    ("reviews", "reason", "TEXT NOT NULL DEFAULT ''"),
    ("reviews", "due", "TEXT NOT NULL DEFAULT '0'"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenSubmission:
    """A submission that customs took. `seq_no`, `entry_id` and `transit_no` (TrnPreId, the number of the
    transit form) are empty where none was allotted, `trader` where the declaration names no code."""

    key: str
    agent: str
    trader: str
    reference: str
    operation: str
    seq_no: str
    entry_id: str
    transit_no: str
    taken_at: datetime
    envelope: bytes

    @property
    def names(self) -> tuple[str, ...]:
        """The numbers by which a payment may refer to it; some may be empty."""
        return self.entry_id, self.seq_no, self.reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A declaration that is not finished: what it waits for, `since` when and why, and the duty that must be
    paid before it continues."""

    submission: TakenSubmission
    waits: WaitReason
    since: datetime
    reason: str
    due: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class DueAnswer:
    """An answer that must not be given before `at`."""

    name: str
    body: bytes
    at: datetime


class Ledger(AnswerLog):
    """`clock` decides which answers are due. `records` and `papers` are in the same file."""

    def __init__(self, file: Path, clock: Clock) -> None:
        super().__init__(file, _TABLES + record_book.TABLES + papers.TABLES)
        self._clock = clock
        self.records = record_book.RecordBook(self._connection)
        self.papers = papers.Papers(self._connection)
        with self.transaction():  # two processes that open it at once must not both add a column
            for table, column, form in _LATER:
                present = [row[1] for row in self._connection.execute(f"PRAGMA table_info ({table})")]
                if column not in present:
                    self._connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {form}")

    def has(self, key: str) -> bool:
        return super().has(key) or self.papers.has(key)

    def numbers_of(self, agent: str, reference: str) -> tuple[str, str]:
        """The last unified number and transit form number of this agent's reference; empty where there is
        none."""
        row = self._connection.execute(
            "SELECT seq_no, transit_no FROM submissions WHERE agent = ? AND reference = ? AND seq_no <> ''"
            " ORDER BY rowid DESC LIMIT 1",
            (agent, reference),
        ).fetchone()
        return ("", "") if row is None else (str(row[0]), str(row[1]))

    @crash_point("customs-notes-a-submission")
    def take(self, submission: TakenSubmission) -> None:
        self._connection.execute(
            "INSERT INTO submissions (key, agent, trader, reference, operation, seq_no, entry_id, transit_no,"
            " taken_at, envelope) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                submission.key,
                submission.agent,
                submission.trader,
                submission.reference,
                submission.operation,
                submission.seq_no,
                submission.entry_id,
                submission.transit_no,
                submission.taken_at.isoformat(),
                submission.envelope,
            ),
        )

    def queue_due(self, key: str, answers: Sequence[DueAnswer]) -> None:
        self._connection.executemany(
            "INSERT INTO answers (key, name, body, due) VALUES (?, ?, ?, ?)",
            [(key, answer.name, answer.body, _instant(answer.at)) for answer in answers],
        )

    def answers(self, limit: int) -> list[Answer]:
        """The answers that are due and not acknowledged, in the order in which they were queued."""
        rows = self._connection.execute(
            "SELECT id, key, name, body FROM answers WHERE NOT acknowledged AND due <= ? ORDER BY id LIMIT ?",
            (_instant(self._clock()), limit),
        )
        return [Answer(id=str(id_), name=name, body=body, key=key) for id_, key, name, body in rows]

    def next_due(self, now: datetime) -> float | None:
        row = self._connection.execute("SELECT min(due) FROM answers WHERE NOT acknowledged").fetchone()
        if not row[0]:  # no answer, or one from before answers had times
            return super().next_due(now)
        return max(0.0, (datetime.fromisoformat(row[0]) - now).total_seconds())

    def wait(
        self, key: str, waits: WaitReason | None, since: datetime, reason: str = "", due: Decimal = Decimal(0)
    ) -> None:
        """Records what a submission waits for; None for one that is finished."""
        self._connection.execute("DELETE FROM reviews WHERE key = ?", (key,))
        if waits is not None:
            self._connection.execute(
                "INSERT INTO reviews (key, waits, since, reason, due) VALUES (?, ?, ?, ?, ?)",
                (key, waits, since.isoformat(), reason, f"{due:f}"),
            )

    def waiting(self, key: str = "") -> list[Waiting]:
        """The waiting declarations, the longest wait first; with a key only that one, if it waits."""
        rows = self._connection.execute(
            "SELECT key, agent, trader, reference, operation, seq_no, entry_id, transit_no, taken_at,"
            " envelope, waits, since, reason, due FROM reviews JOIN submissions USING (key)"
            " WHERE ? IN ('', key) ORDER BY since, submissions.rowid",
            (key,),
        )
        return [_waiting(row) for row in rows]

    def waits(self, key: str) -> Waiting | None:
        return next(iter(self.waiting(key)), None) if key else None

    def note_act(self, key: str, act: str, actor: str, reason: str, at: datetime) -> None:
        self._connection.execute(
            "INSERT INTO acts (at, key, act, actor, reason) VALUES (?, ?, ?, ?, ?)",
            (at.isoformat(), key, act, actor, reason),
        )


def _instant(at: datetime) -> str:
    """A time as text that sorts by time."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _waiting(row: tuple[Any, ...]) -> Waiting:
    key, agent, trader, reference, operation, seq_no, entry_id, transit_no, taken_at, envelope, *waits = row
    return Waiting(
        submission=TakenSubmission(
            key=key,
            agent=agent,
            trader=trader,
            reference=reference,
            operation=operation,
            seq_no=seq_no,
            entry_id=entry_id,
            transit_no=transit_no,
            taken_at=datetime.fromisoformat(taken_at),
            envelope=envelope,
        ),
        waits=WaitReason(waits[0]),
        since=datetime.fromisoformat(waits[1]),
        reason=waits[2],
        due=Decimal(waits[3]),
    )

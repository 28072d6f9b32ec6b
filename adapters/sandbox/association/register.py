"""The agreements that the association knows, beside what it has taken and still has to say."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from adapters.sandbox.answer_log import AnswerLog

_TABLES = """
CREATE TABLE IF NOT EXISTS submissions (
    key TEXT PRIMARY KEY, taken_at TEXT NOT NULL, envelope BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS agreements (
    number TEXT PRIMARY KEY, key TEXT NOT NULL REFERENCES submissions (key), notice BLOB NOT NULL
) STRICT;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An agreement as its last notice (signed) tells it, and the submission that it came with."""

    number: str
    key: str
    notice: bytes


class AgreementRegister(AnswerLog):
    def __init__(self, file: Path) -> None:
        super().__init__(file, _TABLES)

    def take(self, key: str, envelope: bytes, at: datetime) -> None:
        self._connection.execute("INSERT INTO submissions VALUES (?, ?, ?)", (key, at.isoformat(), envelope))

    def note(self, known: Known) -> None:
        """Writes an agreement as it now stands."""
        self._connection.execute(
            "INSERT INTO agreements VALUES (?, ?, ?)"
            " ON CONFLICT (number) DO UPDATE SET notice = excluded.notice",
            (known.number, known.key, known.notice),
        )

    def known(self, number: str) -> Known:
        """Raises `KeyError` for a number that was never allotted."""
        row = self._connection.execute(f"{_KNOWN} WHERE number = ?", (number,)).fetchone()
        if row is None:
            raise KeyError(number)
        return _known(row)

    def all(self) -> list[Known]:
        """Every agreement, by number."""
        return [_known(row) for row in self._connection.execute(f"{_KNOWN} ORDER BY number")]


_KNOWN: Final = "SELECT number, key, notice FROM agreements"


def _known(row: tuple[str, str, bytes]) -> Known:
    number, key, notice = row
    return Known(number=number, key=key, notice=notice)

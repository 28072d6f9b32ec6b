"""The association's agreements, in one file with its submissions and answers."""

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
class StoredAgreement:
    """An agreement: its last signed notice, and the key of the submission that requested it."""

    number: str
    key: str
    notice: bytes


class AgreementRegister(AnswerLog):
    def __init__(self, file: Path) -> None:
        super().__init__(file, _TABLES)

    def take(self, key: str, envelope: bytes, at: datetime) -> None:
        self._connection.execute("INSERT INTO submissions VALUES (?, ?, ?)", (key, at.isoformat(), envelope))

    def note(self, agreement: StoredAgreement) -> None:
        """Stores the last notice of an agreement, which may be new."""
        self._connection.execute(
            "INSERT INTO agreements VALUES (?, ?, ?)"
            " ON CONFLICT (number) DO UPDATE SET notice = excluded.notice",
            (agreement.number, agreement.key, agreement.notice),
        )

    def agreement(self, number: str) -> StoredAgreement:
        """The agreement with this number. Raises `KeyError` where there is none."""
        row = self._connection.execute(f"{_KNOWN} WHERE number = ?", (number,)).fetchone()
        if row is None:
            raise KeyError(number)
        return _stored(row)

    def all(self) -> list[StoredAgreement]:
        """Every agreement, sorted by number."""
        return [_stored(row) for row in self._connection.execute(f"{_KNOWN} ORDER BY number")]


_KNOWN: Final = "SELECT number, key, notice FROM agreements"


def _stored(row: tuple[str, str, bytes]) -> StoredAgreement:
    number, key, notice = row
    return StoredAgreement(number=number, key=key, notice=notice)

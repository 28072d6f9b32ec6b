"""The records from other systems, in the file of the customs ledger."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from adapters.sandbox.customs.records import CustomsRecord, Duty, Kind, Licence, Manifest, Manual, Payment

TABLES: Final = """
CREATE TABLE IF NOT EXISTS records (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, number TEXT NOT NULL, about TEXT NOT NULL,
    body TEXT NOT NULL, at TEXT NOT NULL, actor TEXT NOT NULL, UNIQUE (kind, number)
) STRICT;
CREATE INDEX IF NOT EXISTS records_by_subject ON records (kind, about);
"""


class RecordBook:
    """Works inside the transactions of the ledger that the connection belongs to."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def enter(self, kind: Kind, records: Iterable[CustomsRecord], actor: str, at: datetime) -> None:
        """Enters records; one with the same number is replaced."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO records (kind, number, about, body, at, actor) VALUES (?, ?, ?, ?, ?, ?)",
            [
                (kind, each.number, each.about, each.model_dump_json(), at.isoformat(), actor)
                for each in records
            ],
        )

    def listed(self, kind: Kind, limit: int) -> list[dict[str, object]]:
        """The newest `limit` records, oldest first, with `at` and `actor`; all records if `limit` is 0."""
        rows = self._connection.execute(
            "SELECT body, at, actor FROM records WHERE kind = ? ORDER BY id DESC LIMIT ?", (kind, limit or -1)
        ).fetchall()
        return [json.loads(body) | {"at": at, "actor": actor} for body, at, actor in reversed(rows)]

    def holds(self, kind: Kind) -> bool:
        return (
            self._connection.execute("SELECT 1 FROM records WHERE kind = ?", (kind,)).fetchone() is not None
        )

    def duty(self, tariff: str) -> Duty | None:
        """The duty of the longest tariff prefix that matches; None where none does."""
        prefixes = [tariff[:length] for length in range(len(tariff), 1, -1)]
        row = self._connection.execute(
            "SELECT body FROM records WHERE kind = ? AND about IN (SELECT value FROM json_each(?))"
            " ORDER BY length(about) DESC LIMIT 1",
            (Kind.DUTIES, json.dumps(prefixes)),
        ).fetchone()
        return None if row is None else Duty.model_validate_json(row[0])

    def paid(self, names: Sequence[str]) -> Decimal:
        """The sum of the payments for an entry with these numbers; empty ones are ignored."""
        bodies = [body for name in names if name for body in self._bodies(Kind.PAYMENTS, name)]
        return sum((Payment.model_validate_json(body).amount for body in bodies), Decimal(0))

    def licence(self, number: str) -> Licence | None:
        return next((Licence.model_validate_json(body) for body in self._bodies(Kind.LICENCES, number)), None)

    def manual(self, number: str) -> Manual | None:
        return next((Manual.model_validate_json(body) for body in self._bodies(Kind.MANUALS, number)), None)

    def manifest(self, bill: str) -> Manifest | None:
        return next((Manifest.model_validate_json(body) for body in self._bodies(Kind.MANIFESTS, bill)), None)

    def _bodies(self, kind: Kind, about: str) -> list[str]:
        rows = self._connection.execute(
            "SELECT body FROM records WHERE kind = ? AND about = ? ORDER BY id", (kind, about)
        )
        return [str(body) for (body,) in rows]

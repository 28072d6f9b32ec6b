"""Submissions other than declarations: agreement notices, later documents, copies for a second office.

Their envelopes are stored. None of them is answered.
"""

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Final

from gateway.formats.submission import Envelope

TABLES: Final = """
CREATE TABLE IF NOT EXISTS papers (
    key TEXT PRIMARY KEY, family TEXT NOT NULL, type TEXT NOT NULL, sender TEXT NOT NULL,
    reference TEXT NOT NULL, about TEXT NOT NULL, taken_at TEXT NOT NULL, envelope BLOB NOT NULL
) STRICT;
"""


class SubmissionKind(Enum):
    """The kinds of submissions to customs."""

    DECLARATION = auto()
    COPY = auto()  # of a declaration in transit, for the office of entry or exit
    DOCUMENTS = auto()
    NOTICE = auto()


# By family and type; any other type is a declaration.
_PAPERS: Final = {
    ("gateway", "DocumentPackage"): SubmissionKind.DOCUMENTS,
    ("gateway", "AgreementNotice"): SubmissionKind.NOTICE,
}


def kind_of(key: str, envelope: Envelope) -> SubmissionKind:
    if key != envelope.message:
        return SubmissionKind.COPY
    return _PAPERS.get((envelope.family, envelope.type), SubmissionKind.DECLARATION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """`about` is the submission key of the declaration that it belongs to, empty where that is unknown."""

    key: str
    envelope: Envelope
    about: str
    taken_at: datetime
    signed: bytes


class Papers:
    """Works inside the transactions of the ledger that the connection belongs to."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def keep(self, paper: Paper) -> None:
        envelope = paper.envelope
        self._connection.execute(
            "INSERT INTO papers VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                paper.key,
                envelope.family,
                envelope.type,
                envelope.sender["code"],
                envelope.reference,
                paper.about,
                paper.taken_at.isoformat(),
                paper.signed,
            ),
        )

    def has(self, key: str) -> bool:
        return self._connection.execute("SELECT 1 FROM papers WHERE key = ?", (key,)).fetchone() is not None

    def declaration_of(self, documents: Envelope) -> str:
        """The submission key of the declaration that a document package belongs to, empty where there is
        none: the one that the gateway linked it to, else the newest with its entry number or unified number,
        or with its reference if the sender is the declaration's agent or trader."""
        facts = documents.facts
        row = self._connection.execute(
            "SELECT key FROM submissions WHERE operation = 'declare' AND (key = :linked"
            " OR entry_id <> '' AND entry_id = :entry_id OR seq_no <> '' AND seq_no = :seq_no"
            " OR reference = :reference AND :sender IN (agent, trader))"
            " ORDER BY key = :linked DESC, rowid DESC LIMIT 1",
            {
                "linked": documents.linked or "",
                "entry_id": facts.get("entry_id", ""),
                "seq_no": facts.get("seq_no", ""),
                "reference": facts.get("client_reference", ""),
                "sender": documents.sender["code"],
            },
        ).fetchone()
        return "" if row is None else str(row[0])

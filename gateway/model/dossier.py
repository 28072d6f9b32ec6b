"""The electronic dossier of an entry (docs/reform.md, R12): what belongs to it, under which name, and what is
missing.

The store reads what exists (`DossierDeclaration`, `DossierReceipt`, `OwedDocuments`),
`dossier.contents.compiled` builds the dossier from it. Nothing is copied: a part says where its bytes are.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

from gateway.model.message import Enclosure, Operation, Part
from gateway.model.states import CustomsStatus

INDEX_NAME: Final = "index.xml"
# The form that an entry number must have: it comes from customs, and becomes a folder's name.
_ENTRY: Final = re.compile(r"[0-9A-Za-z]{1,32}")


def names_entry(text: str) -> bool:
    """Whether the text can be the number of an entry, and so the name of a dossier."""
    return _ENTRY.fullmatch(text) is not None


class Shelf(StrEnum):
    """The folders of a dossier."""

    DECLARATION = "declaration"
    DOCUMENTS = "documents"
    ENVELOPE = "envelope"
    AGREEMENT = "agreement"
    RECEIPTS = "receipts"
    CUSTOMS = "customs"


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes of a stored package: all of it, or the file `part` inside it."""

    sha256: str
    part: str = ""


class RecordKind(StrEnum):
    ENVELOPE = "envelope"
    RECEIPT = "receipt"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class Recorded:
    """Bytes in the store itself, in row `row` of their kind."""

    record: RecordKind
    row: int


Source: TypeAlias = Stored | Recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class DossierFile:
    """One part of the dossier. `message` is the message that it came in or is about."""

    shelf: Shelf
    name: str
    kind: str
    size: int
    sha256: str
    at: datetime
    message: str
    source: Source

    @property
    def path(self) -> str:
        return f"{self.shelf}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A submission that was made of a message: its signed envelope, as row `row`."""

    row: int
    key: str
    destination: str
    size: int
    sha256: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DossierDeclaration:
    """An accepted message of the entry: the declaration, one before it that it corrects or updates, or
    documents that followed. `parts` are those of its package, the document first."""

    id: str
    reference: str
    account: str
    operation: Operation
    received_at: datetime
    state: str
    customs_status: CustomsStatus
    seq_no: str
    entry_id: str
    linked: str
    facts: dict[str, str]
    package: Part
    parts: tuple[Part, ...]
    enclosures: tuple[Enclosure, ...]
    copies: tuple[Copy, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DossierReceipt:
    """A receipt of ours or an answer of customs; `status` and `note` are those of an answer."""

    record: RecordKind
    row: int
    name: str
    kind: str
    message: str
    size: int
    sha256: str
    at: datetime
    status: CustomsStatus | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwedDocuments:
    """The documents that the declaration owes, and which are still missing."""

    due: str
    documents: tuple[str, ...]
    missing: tuple[str, ...]
    due_at: datetime | None
    fulfilled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DossierRequest:
    """A request for documents by customs, or by us on its behalf; `part` is the path of the file that makes
    it."""

    at: datetime
    what: str
    note: str
    part: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """`name` is the entry number, or where there is none yet the SeqNo or the id of the declaration.

    `declarations` are oldest first. `leaves` keep their paths: later parts are added and
    rename nothing.
    """

    name: str
    declarations: tuple[DossierDeclaration, ...]
    leaves: tuple[DossierFile, ...]
    licences: tuple[tuple[str, str], ...]
    owed: OwedDocuments | None
    requests: tuple[DossierRequest, ...]

    @property
    def declaration(self) -> DossierDeclaration:
        """The newest declaration."""
        return self.declarations[-1]

    @property
    def at(self) -> datetime:
        """The time of the last part."""
        return max(file.at for file in self.leaves)

    @property
    def names(self) -> frozenset[str]:
        """All names that the dossier has or had."""
        return frozenset(
            number for each in self.declarations for number in (each.entry_id, each.seq_no, each.id) if number
        )

    def leaf(self, path: str) -> DossierFile | None:
        return next((file for file in self.leaves if file.path == path), None)

    def shelf(self, name: str) -> Sequence[DossierFile]:
        return [file for file in self.leaves if file.shelf == name]


@dataclass(frozen=True, slots=True, kw_only=True)
class DossierReading:
    """One access to a dossier: who, when, which part (empty: its list of contents), and why. `message` is the
    declaration's."""

    at: datetime
    actor: str
    entry: str
    message: str
    part: str
    purpose: str


class ReviewOutcome(StrEnum):
    """The outcome of a re-review after release (R16)."""

    CLEAR = "clear"
    FOUND = "found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    at: datetime
    actor: str
    entry: str
    message: str
    outcome: ReviewOutcome
    note: str

"""The electronic dossier of an entry (REFORM R12): what belongs to it, under which name, and what is missing.

Pure: the store says what there is (`Sent`, `Told`, `Owed`), `compiled` makes the dossier of it. Nothing is
copied: a part says where its bytes stand.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

from gateway.message import Enclosure, EnclosureKind, Operation, Part, ReceiptKind
from gateway.states import CustomsStatus

INDEX_NAME: Final = "index.xml"
# What a number must look like to name a dossier: it comes from customs, and becomes a folder's name.
_ENTRY: Final = re.compile(r"[0-9A-Za-z]{1,32}")
_LONGEST: Final = 200  # bytes; what tells equal names apart is added to it
_LONGEST_EXTENSION: Final = 16
_UNFIT: Final = frozenset('/\\:*?"<>|')
# What customs asks for by a status; in order of rank there are others between.
_ASKING: Final = frozenset(
    {
        CustomsStatus.SUPPLEMENT_ASKED,
        CustomsStatus.PAPER_ASKED,
        CustomsStatus.INSPECTION,
        CustomsStatus.DUTY_DUE,
    }
)
# The facts that name licence data, and what they are called in a dossier.
_LICENCES: Final = {"licences": "licence", "manual_no": "manual", "agreement": "agreement"}


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


class Record(StrEnum):
    ENVELOPE = "envelope"
    RECEIPT = "receipt"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class Recorded:
    """Bytes that stand in the store itself, as row `row` of their kind."""

    record: Record
    row: int


Source: TypeAlias = Stored | Recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
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
class Sent:
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
class Told:
    """A receipt of ours, or an answer of customs; of an answer, `status` and `note` are what it says."""

    record: Record
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
class Owed:
    """The documents that the declaration owes, and which of them have not come."""

    due: str
    documents: tuple[str, ...]
    missing: tuple[str, ...]
    due_at: datetime | None
    fulfilled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Something that customs, or we for it, asked for; `part` is the path of where it says so."""

    at: datetime
    what: str
    note: str
    part: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """`name` is the entry number, or where there is none yet the SeqNo or the id of the declaration.

    `declarations` are oldest first. `leaves` keep their paths: what comes later
    is added and renames nothing.
    """

    name: str
    declarations: tuple[Sent, ...]
    leaves: tuple[Leaf, ...]
    licences: tuple[tuple[str, str], ...]
    owed: Owed | None
    asked: tuple[Asked, ...]

    @property
    def declaration(self) -> Sent:
        """The newest one."""
        return self.declarations[-1]

    @property
    def at(self) -> datetime:
        """When the last part came."""
        return max(leaf.at for leaf in self.leaves)

    def leaf(self, path: str) -> Leaf | None:
        return next((leaf for leaf in self.leaves if leaf.path == path), None)

    def shelf(self, name: str) -> Sequence[Leaf]:
        return [leaf for leaf in self.leaves if leaf.shelf == name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One look into a dossier: who, when, which part (empty: what is in it), and why. `message` is the
    declaration's."""

    at: datetime
    actor: str
    entry: str
    message: str
    part: str
    purpose: str


class ReviewOutcome(StrEnum):
    """What a re-review after release comes to (R16)."""

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


def compiled(name: str, sent: Sequence[Sent], told: Sequence[Told], owed: Owed | None) -> Dossier:
    """The dossier of accepted messages, oldest first, among them at least one declaration; `told` is what was
    said of any of them, in the order of their rows."""
    names = _Names()
    leaves: list[Leaf] = []
    for message in sent:
        leaves += _of_message(message, names)
    asked = []
    for each in told:
        leaf = _of_told(each, names)
        leaves.append(leaf)
        if each.status in _ASKING:
            asked.append(Asked(at=each.at, what=each.status, note=each.note, part=leaf.path))
        elif each.kind == ReceiptKind.REQUEST:
            asked.append(Asked(at=each.at, what=each.kind, note=each.note, part=leaf.path))
    declarations = tuple(message for message in sent if message.operation is not Operation.INFORM)
    facts = declarations[-1].facts
    return Dossier(
        name=name,
        declarations=declarations,
        leaves=tuple(leaves),
        licences=tuple(
            (kind, number) for fact, kind in _LICENCES.items() for number in facts.get(fact, "").split()
        ),
        owed=owed,
        asked=tuple(sorted(asked, key=lambda each: each.at)),
    )


class _Names:
    """Gives out the names in each folder: safe on every file system, and no two that one would confuse."""

    def __init__(self) -> None:
        self._given: set[tuple[Shelf, str]] = set()

    def give(self, shelf: Shelf, wanted: str) -> str:
        safe = safe_name(wanted)
        stem, dot, extension = safe.rpartition(".")
        number, name = 1, safe
        while (shelf, name.casefold()) in self._given:
            number += 1
            name = f"{stem}-{number}.{extension}" if dot else f"{safe}-{number}"
        self._given.add((shelf, name.casefold()))
        return name


def safe_name(wanted: str) -> str:
    """The name with what some file system forbids replaced, and cut to 200 bytes before its extension."""
    normal = unicodedata.normalize("NFC", wanted)
    clean = "".join("_" if each in _UNFIT or not each.isprintable() else each for each in normal)
    # A dot in front hides it on some systems, dots and blanks at the end are cut by others.
    clean = re.sub(r"^[. ]|[. ]$", "_", clean) or "_"
    stem, dot, extension = clean.rpartition(".")
    if dot and len(extension.encode()) <= _LONGEST_EXTENSION:
        return f"{_cut(stem, _LONGEST - 1 - _LONGEST_EXTENSION)}.{extension}"
    return _cut(clean, _LONGEST)


def _cut(text: str, most: int) -> str:
    return text.encode()[:most].decode(errors="ignore")


def _of_message(message: Sent, names: _Names) -> Iterable[Leaf]:
    # The package of a declaration stands with it, that of later documents with the documents.
    own = Shelf.DOCUMENTS if message.operation is Operation.INFORM else Shelf.DECLARATION

    def leaf(shelf: Shelf, kind: str, part: Part | Enclosure, source: Source, came_in: str) -> Leaf:
        return Leaf(
            shelf=shelf,
            name=names.give(shelf, part.name),
            kind=kind,
            size=part.size,
            sha256=part.sha256,
            at=message.received_at,
            message=came_in,
            source=source,
        )

    package = message.package
    yield leaf(own, "package", package, Stored(package.sha256), message.id)
    for number, part in enumerate(message.parts):
        if part.sha256 == package.sha256:
            continue  # a bare XML is its own package
        inside = Stored(package.sha256, part.name)
        if number == 0:
            yield leaf(own, "document", part, inside, message.id)
        else:
            yield leaf(Shelf.DOCUMENTS, "attachment", part, inside, message.id)
    for each in message.enclosures:
        shelf = Shelf.AGREEMENT if each.kind is EnclosureKind.AGREEMENT else Shelf.DOCUMENTS
        yield leaf(shelf, each.kind.value, each, Stored(each.sha256), each.message)
    for copy in message.copies:
        yield Leaf(
            shelf=Shelf.ENVELOPE,
            name=names.give(Shelf.ENVELOPE, f"{copy.key}-{copy.destination}.xml"),
            kind="envelope",
            size=copy.size,
            sha256=copy.sha256,
            at=copy.at,
            message=message.id,
            source=Recorded(Record.ENVELOPE, copy.row),
        )


def _of_told(told: Told, names: _Names) -> Leaf:
    shelf = Shelf.CUSTOMS if told.record is Record.ANSWER else Shelf.RECEIPTS
    return Leaf(
        shelf=shelf,
        name=names.give(shelf, told.name),
        kind=told.kind,
        size=told.size,
        sha256=told.sha256,
        at=told.at,
        message=told.message,
        source=Recorded(told.record, told.row),
    )

"""The files that belong to the dossier of an entry, and their names (docs/reform.md, R12)."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from gateway.model.dossier import (
    Dossier,
    DossierDeclaration,
    DossierFile,
    DossierReceipt,
    DossierRequest,
    OwedDocuments,
    Recorded,
    RecordKind,
    Shelf,
    Source,
    Stored,
)
from gateway.model.message import Enclosure, EnclosureKind, Operation, Part, ReceiptKind
from gateway.model.states import CustomsStatus

_LONGEST: Final = 200  # bytes, without the number that is added to equal names
_LONGEST_EXTENSION: Final = 16
_UNFIT: Final = frozenset('/\\:*?"<>|')
# The statuses by which customs asks for something; they are not adjacent in rank.
_ASKING: Final = frozenset(
    {
        CustomsStatus.SUPPLEMENT_ASKED,
        CustomsStatus.PAPER_ASKED,
        CustomsStatus.INSPECTION,
        CustomsStatus.DUTY_DUE,
    }
)
# The facts that hold licence data, and their names in a dossier.
_LICENCES: Final = {"licences": "licence", "manual_no": "manual", "agreement": "agreement"}


def compiled(
    name: str,
    messages: Sequence[DossierDeclaration],
    receipts: Sequence[DossierReceipt],
    owed: OwedDocuments | None,
) -> Dossier:
    """Compiles a dossier. `messages` are its accepted ones, oldest first, at least one of them a declaration;
    `receipts` are the answers and receipts to any of them, in the order of their rows."""
    names = _Names()
    leaves: list[DossierFile] = []
    for message in messages:
        leaves += _of_message(message, names)
    requests = []
    for each in _once(receipts):
        file = _of_receipt(each, names)
        leaves.append(file)
        if each.status in _ASKING:
            requests.append(DossierRequest(at=each.at, what=each.status, note=each.note, part=file.path))
        elif each.kind == ReceiptKind.REQUEST:
            requests.append(DossierRequest(at=each.at, what=each.kind, note=each.note, part=file.path))
    declarations = tuple(message for message in messages if message.operation is not Operation.INFORM)
    facts = declarations[-1].facts
    return Dossier(
        name=name,
        declarations=declarations,
        leaves=tuple(leaves),
        licences=tuple(
            (kind, number) for fact, kind in _LICENCES.items() for number in facts.get(fact, "").split()
        ),
        owed=owed,
        requests=tuple(sorted(requests, key=lambda each: each.at)),
    )


def _once(receipts: Iterable[DossierReceipt]) -> Iterable[DossierReceipt]:
    """Each receipt once: the same receipt for several accounts is one document. Answers are all kept."""
    seen = set()
    for each in receipts:
        if each.record is RecordKind.RECEIPT:
            if each.sha256 in seen:
                continue
            seen.add(each.sha256)
        yield each


class _Names:
    """Gives names within each folder: safe on every file system, and unique even where case is ignored."""

    def __init__(self) -> None:
        self._given: set[tuple[Shelf, str]] = set()

    def give(self, shelf: Shelf, name_in_message: str) -> str:
        safe = safe_name(name_in_message)
        stem, dot, extension = safe.rpartition(".")
        number, name = 1, safe
        while (shelf, name.casefold()) in self._given:
            number += 1
            name = f"{stem}-{number}.{extension}" if dot else f"{safe}-{number}"
        self._given.add((shelf, name.casefold()))
        return name


def safe_name(name: str) -> str:
    """The name with every character replaced that some file system forbids, cut to at most 200 bytes; a short
    extension is kept."""
    normal = unicodedata.normalize("NFC", name)
    clean = "".join("_" if each in _UNFIT or not each.isprintable() else each for each in normal)
    # A leading dot hides a file on some systems; others cut off dots and blanks at the end.
    clean = re.sub(r"^[. ]|[. ]$", "_", clean) or "_"
    stem, dot, extension = clean.rpartition(".")
    if dot and len(extension.encode()) <= _LONGEST_EXTENSION:
        return f"{_cut(stem, _LONGEST - 1 - _LONGEST_EXTENSION)}.{extension}"
    return _cut(clean, _LONGEST)


def _cut(text: str, most: int) -> str:
    return text.encode()[:most].decode(errors="ignore")


def _of_message(message: DossierDeclaration, names: _Names) -> Iterable[DossierFile]:
    # The package of a declaration lies with the declaration, a package of later documents with the documents.
    own = Shelf.DOCUMENTS if message.operation is Operation.INFORM else Shelf.DECLARATION

    def leaf(shelf: Shelf, kind: str, part: Part | Enclosure, source: Source, came_in: str) -> DossierFile:
        return DossierFile(
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
        yield DossierFile(
            shelf=Shelf.ENVELOPE,
            name=names.give(Shelf.ENVELOPE, f"{copy.key}-{copy.destination}.xml"),
            kind="envelope",
            size=copy.size,
            sha256=copy.sha256,
            at=copy.at,
            message=message.id,
            source=Recorded(RecordKind.ENVELOPE, copy.row),
        )


def _of_receipt(receipt: DossierReceipt, names: _Names) -> DossierFile:
    shelf = Shelf.CUSTOMS if receipt.record is RecordKind.ANSWER else Shelf.RECEIPTS
    return DossierFile(
        shelf=shelf,
        name=names.give(shelf, receipt.name),
        kind=receipt.kind,
        size=receipt.size,
        sha256=receipt.sha256,
        at=receipt.at,
        message=receipt.message,
        source=Recorded(receipt.record, receipt.row),
    )

"""`index.xml` of a dossier: every part with its size and digest, the missing documents, and the requests.

Its schema is `schemas/gateway/1/dossier.xsd`. In an exported dossier the index is signed, and its digests
thereby cover the parts; over SFTP it is not signed, since it is made anew for each reader.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from lxml import etree

from gateway.formats.submission import NAMESPACE
from gateway.model.dossier import Dossier, DossierDeclaration, DossierFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """Who exports a dossier, when and why."""

    at: datetime
    actor: str
    reason: str


def build_index(dossier: Dossier, export: Export | None = None) -> etree._Element:
    """The index, unsigned. The same dossier and export give the same index."""
    root = etree.Element(f"{{{NAMESPACE}}}Dossier", {"name": dossier.name}, nsmap={None: NAMESPACE})
    if export is not None:
        _put(root, "Export", at=_at(export.at), by=export.actor, reason=export.reason)
    for declaration in dossier.declarations:
        _put_declaration(root, declaration)
    for kind, number in dossier.licences:
        _put(root, "Licence", kind=kind, number=number)
    owed = dossier.owed
    if owed is not None:
        times = {"dueAt": owed.due_at, "fulfilledAt": owed.fulfilled_at}
        dates = {name: _at(time) for name, time in times.items() if time is not None}
        element = _put(root, "Owed", due=owed.due, **dates)
        for code in owed.documents:
            _put(element, "Document", code=code, missing="true" if code in owed.missing else "false")
    for request in dossier.requests:
        _put(root, "Asked", at=_at(request.at), what=request.what, note=request.note, path=request.part)
    parts = _put(root, "Parts")
    for file in dossier.leaves:
        _put_leaf(parts, file)
    return root


def index_bytes(dossier: Dossier) -> bytes:
    """The unsigned index as a file: UTF-8 with an XML declaration."""
    return etree.tostring(build_index(dossier), xml_declaration=True, encoding="UTF-8", pretty_print=True)


def _put(parent: etree._Element, tag: str, **attributes: str) -> etree._Element:
    return etree.SubElement(parent, f"{{{NAMESPACE}}}{tag}", attributes)


def _put_declaration(root: etree._Element, declaration: DossierDeclaration) -> None:
    numbers = {"seqNo": declaration.seq_no, "entryId": declaration.entry_id, "linked": declaration.linked}
    _put(
        root,
        "Declaration",
        message=declaration.id,
        reference=declaration.reference,
        operation=declaration.operation.value,
        account=declaration.account,
        receivedAt=_at(declaration.received_at),
        customsStatus=declaration.customs_status.value,
        **{name: value for name, value in numbers.items() if value},
    )


def _put_leaf(parts: etree._Element, file: DossierFile) -> None:
    _put(
        parts,
        "Part",
        path=file.path,
        kind=file.kind,
        size=str(file.size),
        sha256=file.sha256,
        at=_at(file.at),
        # Empty for the document of an agreement that was entered without a message.
        **({"message": file.message} if file.message else {}),
    )


def _at(time: datetime) -> str:
    return time.astimezone(UTC).isoformat()

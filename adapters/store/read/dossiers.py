"""Dossiers as a view of messages, deliveries, receipts and answers."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, or_, select

from adapters.store.database import Database
from adapters.store.tables.messages import deliveries, messages, obligations, parties, receipts
from adapters.store.write.dossier_access_log import note_reading
from gateway.dossier.contents import compiled
from gateway.families.families import Families
from gateway.formats import xml
from gateway.formats.submission import NAMESPACE, inner_name, read_envelope
from gateway.model.dossier import (
    Copy,
    Dossier,
    DossierDeclaration,
    DossierReading,
    DossierReceipt,
    OwedDocuments,
    Recorded,
    RecordKind,
)
from gateway.model.faults import MessageRejected
from gateway.model.message import Enclosure, EnclosureKind, Operation, Part, ReceiptKind
from gateway.model.parties import Role
from gateway.model.states import CustomsStatus
from gateway.respond.answer import read

# A longer chain of corrections does not belong to one entry.
_MOST_LINKED: Final = 200
# Answers of customs and the association are filed in their original form, and reports are only for reading.
_RELAYED: Final = (ReceiptKind.TECHNICAL, ReceiptKind.BUSINESS, ReceiptKind.REPORT)


class SqlDossiers:
    """gateway.dossier.ports.DossierStore over a `Database`."""

    def __init__(self, database: Database, families: Families) -> None:
        self._database = database
        self._families = families

    async def admits(self, account: str) -> bool:
        return await self._database.read(
            lambda reader: Role.CUSTOMS in (reader.execute(_ROLES, {"account": account}).scalar() or ())
        )

    async def entries(self, limit: int) -> Sequence[tuple[str, datetime]]:
        return await self._database.read(lambda reader: newest_entries(reader, limit))

    async def dossier(self, entry: str) -> Dossier | None:
        return await self._database.read(lambda reader: dossier_of_entry(reader, entry, self._families))

    async def body(self, recorded: Recorded) -> bytes:
        return await self._database.read(lambda reader: recorded_body(reader, recorded))

    async def note(self, reading: DossierReading) -> None:
        await self._database.write(lambda transaction: note_reading(transaction, reading))


_ROLES: Final = select(parties.c.record["roles"]).where(parties.c.account == bindparam("account"))
_DECLARATIONS: Final = (
    messages.c.kind == "inbound",
    messages.c.operation.in_((Operation.SAVE, Operation.DECLARE)),
)
_ENTRIES: Final = (
    select(messages.c.entry_id, messages.c.moved_at)
    .where(*_DECLARATIONS, messages.c.entry_id.is_not(None))
    .order_by(messages.c.seq.desc())
    .limit(bindparam("limit"))
)
_OF_ENTRY: Final = select(messages.c.id, messages.c.linked).where(
    *_DECLARATIONS, messages.c.entry_id == bindparam("entry")
)
_LINKED: Final = select(messages.c.id, messages.c.linked).where(
    *_DECLARATIONS,
    or_(
        messages.c.id.in_(bindparam("message_ids", expanding=True)),
        messages.c.linked.in_(bindparam("linked_to", expanding=True)),
    ),
)
# Every accepted message, and no other, has a delivery under its own id.
_SENT: Final = (
    select(messages, deliveries.c.envelope)
    .join(deliveries, (deliveries.c.message == messages.c.id) & (deliveries.c.key == messages.c.id))
    .where(
        messages.c.kind == "inbound",
        or_(
            messages.c.id.in_(bindparam("chain", expanding=True)),
            (messages.c.operation == Operation.INFORM)
            & messages.c.linked.in_(bindparam("chain", expanding=True)),
        ),
    )
    .order_by(messages.c.seq)
)
_COPIES: Final = (
    select(deliveries)
    .where(deliveries.c.message.in_(bindparam("message_ids", expanding=True)))
    .order_by(deliveries.c.id)
)
_RECEIPTS: Final = (
    select(receipts)
    .where(receipts.c.message.in_(bindparam("message_ids", expanding=True)), receipts.c.kind.not_in(_RELAYED))
    .order_by(receipts.c.id)
)
_ANSWERS: Final = (
    select(messages)
    .where(messages.c.kind == "answer", messages.c.linked.in_(bindparam("message_ids", expanding=True)))
    .order_by(messages.c.seq)
)
_NAME: Final = select(messages.c.name).where(messages.c.id == bindparam("message_id"))
_OWED: Final = select(obligations).where(obligations.c.message == bindparam("message_id"))
_BODIES: Final = {
    RecordKind.ENVELOPE: select(deliveries.c.envelope).where(deliveries.c.id == bindparam("row_id")),
    RecordKind.RECEIPT: select(receipts.c.body).where(receipts.c.id == bindparam("row_id")),
    RecordKind.ANSWER: select(messages.c.body).where(
        messages.c.seq == bindparam("row_id"), messages.c.kind == "answer"
    ),
}


def newest_entries(reader: Connection, limit: int) -> Sequence[tuple[str, datetime]]:
    """See `DossierStore.entries`."""
    newest: dict[str, datetime] = {}
    for entry, moved_at in reader.execute(_ENTRIES, {"limit": limit}):
        newest[entry] = max(moved_at, newest.get(entry, moved_at))
    return list(newest.items())


def dossier_of_entry(reader: Connection, entry: str, families: Families) -> Dossier | None:
    """The dossier of the entry with this number; None if no accepted declaration has it."""
    return _dossier(reader, reader.execute(_OF_ENTRY, {"entry": entry}).all(), families)


def dossier_of_message(reader: Connection, message: str, families: Families) -> Dossier | None:
    """The dossier to which a declaration belongs, with or without an entry number."""
    start = reader.execute(_LINKED, {"message_ids": [message], "linked_to": []}).all()
    return _dossier(reader, start, families)


def recorded_body(reader: Connection, recorded: Recorded) -> bytes:
    """See `DossierStore.body`."""
    body = reader.execute(_BODIES[recorded.record], {"row_id": recorded.row}).scalar_one_or_none()
    if body is None:
        raise KeyError(recorded.row)
    return bytes(body)


def _dossier(
    reader: Connection, start: Sequence[Row[*tuple[Any, ...]]], families: Families
) -> Dossier | None:
    chain = _chain(reader, start)
    accepted = []
    rows = reader.execute(_SENT, {"chain": chain}).all()
    copies = reader.execute(_COPIES, {"message_ids": [row.id for row in rows]}).all()
    for row in rows:
        envelope = read_envelope(xml.trusted(row.envelope))
        enclosures = tuple(_named(reader, enclosure) for enclosure in envelope.enclosures)
        accepted.append(
            _declaration(row, envelope.parts, enclosures, [copy for copy in copies if copy.message == row.id])
        )
    declarations = [declaration for declaration in accepted if declaration.operation is not Operation.INFORM]
    if not declarations:
        return None
    ids = {"message_ids": [declaration.id for declaration in accepted]}
    dossier_receipts = [_receipt(row) for row in reader.execute(_RECEIPTS, ids)]
    dossier_receipts += [_answer(row, families) for row in reader.execute(_ANSWERS, ids)]
    newest = declarations[-1]
    numbered = [declaration.entry_id for declaration in declarations if declaration.entry_id]
    owed = reader.execute(_OWED, {"message_id": newest.id}).first()
    return compiled(
        numbered[-1] if numbered else newest.seq_no or newest.id,
        accepted,
        dossier_receipts,
        None if owed is None else _owed(owed),
    )


def _chain(reader: Connection, start: Sequence[Row[*tuple[Any, ...]]]) -> list[str]:
    """The ids of the declarations that correct or update each other, including refused ones."""
    linked = {row.id: row.linked for row in start}
    looked_at: set[str] = set()
    while (new := linked.keys() - looked_at) and len(linked) < _MOST_LINKED:
        looked_at |= new
        before = [linked[id_] for id_ in new if linked[id_] is not None and linked[id_] not in linked]
        for row in reader.execute(_LINKED, {"message_ids": before, "linked_to": sorted(new)}):
            linked[row.id] = row.linked
    return sorted(linked)


def _declaration(
    row: Row[*tuple[Any, ...]],
    parts: tuple[Part, ...],
    enclosures: tuple[Enclosure, ...],
    copies: Sequence[Row[*tuple[Any, ...]]],
) -> DossierDeclaration:
    return DossierDeclaration(
        id=row.id,
        reference=row.reference,
        account=row.account,
        operation=Operation(row.operation),
        received_at=row.received_at,
        state=row.state,
        customs_status=CustomsStatus(row.customs_status),
        seq_no=row.seq_no or "",
        entry_id=row.entry_id or "",
        linked=row.linked or "",
        facts=row.facts,
        package=Part(name=inner_name(row.name), sha256=row.sha256, size=row.size),
        parts=parts,
        enclosures=enclosures,
        copies=tuple(
            Copy(
                row=copy.id,
                key=copy.key,
                destination=copy.destination,
                size=len(copy.envelope),
                sha256=_digest(copy.envelope),
                at=copy.created_at,
            )
            for copy in copies
        ),
    )


def _named(reader: Connection, enclosure: Enclosure) -> Enclosure:
    """A separately sent attachment under its original name: the copy for customs has a name of ours."""
    if enclosure.kind is not EnclosureKind.ATTACHMENT:
        return enclosure
    return replace(enclosure, name=reader.execute(_NAME, {"message_id": enclosure.message}).scalar_one())


def _receipt(row: Row[*tuple[Any, ...]]) -> DossierReceipt:
    return DossierReceipt(
        record=RecordKind.RECEIPT,
        row=row.id,
        name=row.name,
        kind=row.kind,
        message=row.message,
        size=row.size,
        sha256=_digest(row.body),
        at=row.created_at,
        note=_requested(row.body) if row.kind == ReceiptKind.REQUEST else "",
    )


def _requested(body: bytes) -> str:
    """The reason of a document request, and the classes of the documents that it names."""
    root = xml.trusted(body)
    why = root.findtext(f"{{{NAMESPACE}}}Why", "")
    codes = [str(document.get("code", "")) for document in root.iterfind(f"{{{NAMESPACE}}}Document")]
    return ": ".join(filter(None, (why, " ".join(codes))))


def _answer(row: Row[*tuple[Any, ...]], families: Families) -> DossierReceipt:
    status, note = None, ""
    try:
        parsed = read(row.body, families)
        status, note = parsed.status, parsed.note
    except MessageRejected:
        # The message was readable when it arrived; its family has been removed since. It is filed anyway.
        pass
    return DossierReceipt(
        record=RecordKind.ANSWER,
        row=row.seq,
        name=f"{row.id}-{row.type}.xml",
        kind=row.type,
        message=row.id,
        size=row.size,
        sha256=row.sha256,
        at=row.received_at,
        status=status,
        note=note,
    )


def _owed(row: Row[*tuple[Any, ...]]) -> OwedDocuments:
    return OwedDocuments(
        due=row.due,
        documents=tuple(row.documents),
        missing=tuple(row.missing),
        due_at=row.due_at,
        fulfilled_at=row.fulfilled_at,
    )


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()

"""Requests for documents in the store: recorded with their cause, sent to the parties once they are
signed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, bindparam, insert, select, update

from adapters.store.claims import TO_REQUEST, queue_document_request
from adapters.store.database import Database, Transaction
from adapters.store.tables.messages import TO_REMIND, messages, obligations, requests
from adapters.store.write.receipts import put_receipts
from gateway.model.message import Receipt
from gateway.model.obligation import RequestReason
from gateway.model.states import CustomsStatus, State
from gateway.notify.document_requests import DocumentRequest
from gateway.rules.deadlines import next_reminder
from gateway.run.claims import LEASE

ACTOR: Final = "gateway"
REQUESTED: Final = "requested"  # the event's word in the trail

# No documents are requested for declarations that customs has refused or deleted.
_GONE: Final = (CustomsStatus.DELETED, CustomsStatus.REFUSED)

_TO_REMIND: Final = (
    select(obligations, messages.c.customs_status)
    .join(messages, messages.c.id == obligations.c.message)
    .where(TO_REMIND, obligations.c.remind_at <= bindparam("now"))
    .order_by(obligations.c.remind_at)
    .limit(100)
)
_REMINDED: Final = update(obligations).where(obligations.c.message == bindparam("message_id"))
_CLAIMED: Final = (
    select(
        requests,
        messages.c.account,
        messages.c.name,
        messages.c.reference,
        messages.c.seq_no,
        messages.c.entry_id,
        messages.c.facts,
    )
    .join(messages, messages.c.id == requests.c.message)
    .where(requests.c.id.in_(bindparam("request_ids", expanding=True)))
    .order_by(requests.c.id)
)
_SENT: Final = update(requests).where(requests.c.id == bindparam("request_id"))
_STATE: Final = select(messages.c.state).where(messages.c.id == bindparam("message_id"))
_INSERT: Final = insert(requests)


def ask(
    transaction: Transaction,
    message: str,
    why: str,
    now: datetime,
    *,
    documents: Sequence[str] = (),
    due_at: datetime | None = None,
    note: str = "",
) -> None:
    """Records that the parties of a declaration are to be asked for documents."""
    added = transaction.connection.execute(
        _INSERT,
        {
            "message": message,
            "at": now,
            "why": why,
            "documents": list(documents),
            "due_at": due_at,
            "note": note,
        },
    )
    id_: int = added.inserted_primary_key[0]  # type: ignore[index]  # it has one column
    queue_document_request(transaction, id_)


class SqlDocumentRequests:
    """gateway.notify.ports.RequestStore over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def remind(self, now: datetime, reminders: Sequence[int]) -> int:
        # Read first, so that an idle node writes nothing.
        if not await self._database.read(lambda reader: reader.execute(_TO_REMIND, {"now": now}).first()):
            return 0
        return await self._database.write(lambda transaction: _remind(transaction, now, reminders))

    async def claim(self, limit: int, now: datetime) -> Sequence[DocumentRequest]:
        # Read first, so that an idle node writes nothing.
        owner = self._database.owner
        if not await self._database.read(lambda reader: TO_REQUEST.due(reader, owner, now)):
            return ()
        return await self._database.write(lambda transaction: _claim(transaction, owner, limit, now))

    async def send(self, request: DocumentRequest, receipts: Sequence[Receipt], now: datetime) -> None:
        owner = self._database.owner
        await self._database.write(lambda transaction: _send(transaction, owner, request, receipts, now))


def _claim(transaction: Transaction, owner: str, limit: int, now: datetime) -> list[DocumentRequest]:
    claimed = TO_REQUEST.claim(transaction, owner, limit, now, now + LEASE)
    fences = {claim.item: claim.fence for _account, claim in claimed}
    rows = transaction.connection.execute(_CLAIMED, {"request_ids": list(fences)}) if fences else ()
    return [_request(row, fences[row.id]) for row in rows]


def _remind(transaction: Transaction, now: datetime, reminders: Sequence[int]) -> int:
    reminded = 0
    for row in transaction.connection.execute(_TO_REMIND, {"now": now}).all():
        gone = CustomsStatus(row.customs_status) in _GONE
        changed = {
            "message_id": row.message,
            "remind_at": None if gone else next_reminder(row.due_at, reminders, now),
        }
        if not gone:
            why = RequestReason.OVERDUE if now > row.due_at else RequestReason.REMINDER
            ask(transaction, row.message, why, now, documents=row.missing, due_at=row.due_at)
            changed["reminded"] = row.reminded + 1
            reminded += 1
        transaction.connection.execute(_REMINDED, changed)
    return reminded


def _request(row: Row[*tuple[Any, ...]], fence: int) -> DocumentRequest:
    return DocumentRequest(
        id=row.id,
        fence=fence,
        at=row.at,
        why=RequestReason(row.why),
        documents=tuple(row.documents),
        due_at=row.due_at,
        note=row.note,
        message=row.message,
        account=row.account,
        file_name=row.name,
        reference=row.reference,
        seq_no=row.seq_no or "",
        entry_id=row.entry_id or "",
        facts=row.facts,
    )


def _send(
    transaction: Transaction,
    owner: str,
    request: DocumentRequest,
    receipts: Sequence[Receipt],
    now: datetime,
) -> None:
    claim = {request.id: request.fence}
    if not TO_REQUEST.finish(transaction, owner, claim):
        return
    transaction.connection.execute(_SENT, {"request_id": request.id, "told_at": now})
    put_receipts(transaction, request.message, receipts, now)
    state = State(transaction.connection.execute(_STATE, {"message_id": request.message}).scalar_one())
    transaction.log(
        request.message,
        now,
        REQUESTED,
        ACTOR,
        state,
        why=request.why,
        documents=list(request.documents),
        accounts=[receipt.account for receipt in receipts],
    )

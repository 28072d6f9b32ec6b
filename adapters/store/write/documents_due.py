"""The documents that declarations owe: written with the declaration, removed as they arrive
(docs/reform.md, R3, R4)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, delete, insert, select, update

from adapters.store.database import Transaction
from adapters.store.tables.messages import obligations
from adapters.store.write.document_requests import ask
from gateway.model.obligation import Obligation, RequestReason
from gateway.model.reform import Due

_OWED: Final = select(obligations).where(obligations.c.message == bindparam("message_id"))
_FORGET: Final = delete(obligations).where(obligations.c.message == bindparam("message_id"))
_OWE: Final = insert(obligations)
_CHANGE: Final = update(obligations).where(obligations.c.message == bindparam("message_id"))


def owe(transaction: Transaction, message: str, obligation: Obligation, present: Sequence[str]) -> None:
    """Writes what a declaration owes; `present` are the document classes that came with it."""
    transaction.connection.execute(_FORGET, {"message_id": message})
    transaction.connection.execute(
        _OWE,
        {
            "message": message,
            "due": obligation.due,
            "documents": list(obligation.documents),
            "sources": list(obligation.sources),
            "missing": list(obligation.missing(present)),
        },
    )


def start_deadline(
    transaction: Transaction, message: str, due_at: datetime, remind_at: datetime | None, now: datetime
) -> None:
    """Sets the deadline for missing documents that follow a release, and asks the parties for them."""
    row = transaction.connection.execute(_OWED, {"message_id": message}).first()
    if row is None or row.due != Due.AFTER_RELEASE or row.released_at is not None or not row.missing:
        return
    transaction.connection.execute(
        _CHANGE,
        {
            "message_id": message,
            "released_at": now,
            "due_at": due_at,
            "remind_at": remind_at,
        },
    )
    ask(transaction, message, RequestReason.DUE, now, documents=row.missing, due_at=due_at)


def bring(transaction: Transaction, declaration: str, documents: Sequence[str], now: datetime) -> None:
    """Removes document classes that arrived later from what a declaration owes."""
    row = transaction.connection.execute(_OWED, {"message_id": declaration}).first()
    if row is None or row.fulfilled_at is not None:
        return
    missing = [code for code in row.missing if code not in documents]
    changed = {"message_id": declaration, "missing": missing}
    transaction.connection.execute(
        _CHANGE, changed if missing else changed | {"fulfilled_at": now, "remind_at": None}
    )

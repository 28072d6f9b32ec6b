"""The documents that declarations owe: noted with them, taken off as they come (REFORM R3, R4)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, delete, insert, select, update

from adapters.stores.database import Transaction
from adapters.stores.tables import obligations
from gateway.documents import Obligation

_OWED: Final = select(obligations).where(obligations.c.message == bindparam("wanted"))
_CHANGE: Final = update(obligations).where(obligations.c.message == bindparam("wanted"))


def owe(transaction: Transaction, message: str, obligation: Obligation, attached: Sequence[str]) -> None:
    """Writes what a declaration owes; `attached` are the document classes that came with it."""
    transaction.connection.execute(delete(obligations).where(obligations.c.message == message))
    transaction.connection.execute(
        insert(obligations),
        {
            "message": message,
            "due": obligation.due,
            "documents": list(obligation.documents),
            "sources": list(obligation.sources),
            "missing": list(obligation.missing(attached)),
        },
    )


def deliver(transaction: Transaction, declaration: str, documents: Sequence[str], now: datetime) -> None:
    """Takes document classes that came later off what a declaration owes."""
    row = transaction.connection.execute(_OWED, {"wanted": declaration}).first()
    if row is None or row.fulfilled_at is not None:
        return
    missing = [code for code in row.missing if code not in documents]
    changed = {"wanted": declaration, "missing": missing}
    transaction.connection.execute(_CHANGE, changed if missing else changed | {"fulfilled_at": now})

"""What an accepted message had taken comes free when it is refused after all, in the commit that does so."""

from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, delete, insert, select

from adapters.store.database import Transaction
from adapters.store.tables.messages import holders, messages, obligations
from adapters.store.write.agreements import ACTOR, free
from gateway.model.states import State

_KEYS: Final = (holders.c.party, holders.c.family, holders.c.type, holders.c.reference)
_OWN: Final = select(messages.c.linked, *(messages.c[column.name] for column in _KEYS)).where(
    messages.c.id == bindparam("wanted")
)
_LET_GO: Final = delete(holders).where(
    *(column == bindparam(f"of_{column.name}") for column in _KEYS), holders.c.message == bindparam("held_by")
)
_LINKED: Final = select(messages.c.id).where(
    messages.c.id == bindparam("wanted"),
    messages.c.kind == "inbound",
    messages.c.state != State.REJECTED,
    *(messages.c[column.name] == bindparam(f"of_{column.name}") for column in _KEYS),
)


def give_back(
    transaction: Transaction, message: str, reason: str, now: datetime, actor: str = ACTOR
) -> str | None:
    """Frees the agreement that it used, drops what it owes, and gives its key to the message that it
    corrected or updated, where that still stands, else to nobody. Returns the agreement's number, None where
    it used none. Called while the row still tells what it had taken."""
    freed = free(transaction, message, f"its declaration was rejected: {reason}", now, actor)
    transaction.connection.execute(delete(obligations).where(obligations.c.message == message))
    row = transaction.connection.execute(_OWN, {"wanted": message}).one()
    if row.reference is None:
        return freed
    named = {column.name: row._mapping[column.name] for column in _KEYS}
    of_key = {f"of_{name}": value for name, value in named.items()}
    let_go = transaction.connection.execute(_LET_GO, {"held_by": message, **of_key})
    if let_go.rowcount == 0 or row.linked is None:
        return freed
    before = transaction.connection.execute(_LINKED, {"wanted": row.linked, **of_key}).scalar_one_or_none()
    if before is not None:
        transaction.connection.execute(insert(holders), {**named, "message": before})
    return freed

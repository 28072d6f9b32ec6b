"""Which accepted message holds a key (docs/for-brokers.md, "Sent twice"): taken on acceptance, passed on when
the acceptance is undone."""

from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import bindparam, delete, insert, select, update

from adapters.store.database import Transaction
from adapters.store.tables.messages import holders, messages
from gateway.model.message import Key
from gateway.model.states import State

_COLUMNS: Final = (holders.c.party, holders.c.family, holders.c.type, holders.c.reference)
_OF_KEY: Final = tuple(column == bindparam(f"of_{column.name}") for column in _COLUMNS)
_HOLDER: Final = select(holders.c.message).where(*_OF_KEY)
_PASS_ON: Final = update(holders).where(*_OF_KEY)
_HOLD: Final = insert(holders)
_RELEASE: Final = delete(holders).where(*_OF_KEY, holders.c.message == bindparam("message_id"))
_KEY_OF_MESSAGE: Final = select(messages.c.linked, *(messages.c[column.name] for column in _COLUMNS)).where(
    messages.c.id == bindparam("message_id")
)
_STILL_ACCEPTED: Final = select(messages.c.id).where(
    messages.c.id == bindparam("message_id"),
    messages.c.kind == "inbound",
    messages.c.state != State.REJECTED,
    *(messages.c[column.name] == bindparam(f"of_{column.name}") for column in _COLUMNS),
)


def holder(transaction: Transaction, key: Key) -> str | None:
    return transaction.connection.execute(_HOLDER, _where(asdict(key))).scalar_one_or_none()


def take_key(transaction: Transaction, message: str, key: Key) -> None:
    """Makes the message the holder of the key, replacing any other holder."""
    columns = asdict(key)
    if transaction.connection.execute(_PASS_ON, {**_where(columns), "message": message}).rowcount == 0:
        transaction.connection.execute(_HOLD, {**columns, "message": message})


def release_key(transaction: Transaction, message: str) -> None:
    """Returns the key of a message to the message that it corrected or updated, if that is still accepted,
    otherwise to nobody. Does nothing if the message holds no key."""
    row = transaction.connection.execute(_KEY_OF_MESSAGE, {"message_id": message}).one()
    if row.reference is None:
        return
    columns = {column.name: row._mapping[column.name] for column in _COLUMNS}
    released = transaction.connection.execute(_RELEASE, {"message_id": message, **_where(columns)})
    if released.rowcount == 0 or row.linked is None:
        return
    linked = {"message_id": row.linked, **_where(columns)}
    before = transaction.connection.execute(_STILL_ACCEPTED, linked).scalar_one_or_none()
    if before is not None:
        transaction.connection.execute(_HOLD, {**columns, "message": before})


def _where(columns: dict[str, Any]) -> dict[str, Any]:
    return {f"of_{name}": value for name, value in columns.items()}

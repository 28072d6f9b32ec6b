"""The status of a message, as far as it decides what operators may do with it."""

from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, select

from adapters.store.tables.messages import deliveries, messages
from gateway.model.states import DeliveryState, State
from gateway.operate.message_actions import DeliveryStatus, Impossible, MessageStatus

_MESSAGE: Final = select(messages).where(messages.c.id == bindparam("message_id"))
_SENT: Final = select(deliveries.c.state, deliveries.c.unsure).where(
    deliveries.c.message == bindparam("message_id")
)


def message_status(reader: Connection, message: str) -> tuple[Row[*tuple[Any, ...]], MessageStatus]:
    """The row and status of a message that a party sent. Raises `KeyError` if there is no such message,
    `Impossible` for an answer of customs."""
    row = reader.execute(_MESSAGE, {"message_id": message}).first()
    if row is None:
        raise KeyError(message)
    if row.kind != "inbound":
        raise Impossible("it is an answer; only what a party sent can be held, released, rejected, replayed")
    return row, status_of(reader, row)


def status_of(reader: Connection, row: Row[*tuple[Any, ...]]) -> MessageStatus:
    own = reader.execute(_SENT, {"message_id": row.id})
    return MessageStatus(
        state=State(row.state),
        deliveries=tuple(DeliveryStatus(DeliveryState(row.state), row.unsure) for row in own),
    )

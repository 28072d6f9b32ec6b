"""The deliveries of one message, changed together with it."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, delete, insert, update

from adapters.store.claims import TO_SEND, queue_for_sending
from adapters.store.database import Transaction
from adapters.store.tables.messages import WAITS, deliveries
from gateway.model.message import Submission
from gateway.model.states import DeliveryState

_INSERT: Final = insert(deliveries)
_HOLD: Final = (
    update(deliveries)
    .where(deliveries.c.message == bindparam("message_id"), WAITS)
    .returning(deliveries.c.id)
)
_WITHDRAW: Final = (
    delete(deliveries)
    .where(deliveries.c.message == bindparam("message_id"))
    .returning(deliveries.c.id, deliveries.c.destination)
)
# Refused or given up: the back-end is asked about it before it is sent again.
_SEND_AGAIN: Final = (
    update(deliveries)
    .where(
        deliveries.c.message == bindparam("message_id"),
        deliveries.c.state.not_in((DeliveryState.DELIVERED, DeliveryState.SENDING)),
    )
    .returning(deliveries.c.id)
)
_KNOWN_AT: Final = (
    update(deliveries)
    .where(
        deliveries.c.message == bindparam("message_id"),
        deliveries.c.destination == bindparam("backend"),
        deliveries.c.state != DeliveryState.DELIVERED,
    )
    .values(unsure=True, alternatives=[])
)


def submit(
    transaction: Transaction,
    message: str,
    account: str,
    submissions: Sequence[Submission],
    now: datetime,
    *,
    unsure: bool,
) -> None:
    """Queues submissions for delivery. `unsure`: customs may have them already, so they are queried before
    they are sent, and only at the same back-end."""
    added: list[int] = []
    for submission in submissions:
        values = asdict(submission) | ({"alternatives": []} if unsure else {})
        row = transaction.connection.execute(
            _INSERT,
            {
                **values,
                "message": message,
                "account": account,
                "state": DeliveryState.UNKNOWN if unsure else DeliveryState.PENDING,
                "unsure": unsure,
                "since": now,
                "created_at": now,
                "changed_at": now,
            },
        )
        id_: int = row.inserted_primary_key[0]  # type: ignore[index]  # it has one column
        added.append(id_)
    queue_for_sending(transaction, added, now)


def hold_waiting(transaction: Transaction, message: str, note: str, now: datetime) -> None:
    """Holds the waiting deliveries. One that is being sent now is held if it turns out not to be taken."""
    values = {"state": DeliveryState.HELD, "note": note, "changed_at": now}
    changed = transaction.connection.execute(_HOLD, {"message_id": message, **values}).scalars().all()
    queue_for_sending(transaction, changed, now)


def withdraw(transaction: Transaction, message: str) -> list[str]:
    """Withdraws all deliveries of the message, and returns their destinations."""
    rows = transaction.connection.execute(_WITHDRAW, {"message_id": message}).all()
    for row in rows:
        TO_SEND.end(transaction, row.id)
    return [row.destination for row in rows]


def send_again(transaction: Transaction, message: str, now: datetime) -> None:
    again = {"state": DeliveryState.UNKNOWN, "attempts": 0, "since": now, "changed_at": now}
    changed = transaction.connection.execute(_SEND_AGAIN, {"message_id": message, **again}).scalars().all()
    queue_for_sending(transaction, changed, now)


def known_at(transaction: Transaction, message: str, backend: str) -> None:
    """A back-end that answers for a submission has it, whatever the outcome of the attempts to send it."""
    transaction.connection.execute(_KNOWN_AT, {"message_id": message, "backend": backend})

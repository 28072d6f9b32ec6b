"""Operators' acts on one delivery; each is one commit with its event and its effect on the message."""

from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, select, update

from adapters.store.apply import apply_as_read
from adapters.store.claims import queue_for_sending
from adapters.store.database import Transaction
from adapters.store.tables.messages import deliveries, messages
from gateway.model.message import Operation
from gateway.model.states import DeliveryState, State
from gateway.operate.delivery_actions import DeliveryAct, change_of, step_of

_DELIVERY: Final = select(deliveries).where(deliveries.c.id == bindparam("delivery_id"))
_OTHERS: Final = select(deliveries.c.state).where(
    deliveries.c.message == bindparam("message_id"), deliveries.c.id != bindparam("delivery_id")
)
# A message that only informs may be repeated after the message that it belongs to: this undoes nothing.
_OVERTAKEN_BY: Final = (
    select(deliveries.c.id)
    .join(messages, messages.c.id == deliveries.c.message)
    .where(
        deliveries.c.about == bindparam("about"),
        deliveries.c.about != "",
        deliveries.c.destination == bindparam("destination"),
        deliveries.c.id > bindparam("delivery_id"),
        deliveries.c.message != bindparam("message_id"),
        deliveries.c.state.in_((DeliveryState.DELIVERED, DeliveryState.SENDING)),
        messages.c.operation != Operation.INFORM,
    )
    .order_by(deliveries.c.id.desc())
    .limit(1)
)
_STATE: Final = select(messages.c.state).where(messages.c.id == bindparam("message_id"))
_CHANGE: Final = update(deliveries).where(deliveries.c.id == bindparam("delivery_id"))


def act_on(
    transaction: Transaction, act: DeliveryAct, id_: int, actor: str, reason: str, now: datetime
) -> tuple[DeliveryState, State]:
    """The states of the delivery and of its message after the act. Raises `Impossible`, and `KeyError` if
    there is no such delivery."""
    row = transaction.connection.execute(_DELIVERY, {"delivery_id": id_}).first()
    if row is None:
        raise KeyError(id_)
    others = transaction.connection.execute(
        _OTHERS, {"message_id": row.message, "delivery_id": id_}
    ).scalars()
    state = State(transaction.connection.execute(_STATE, {"message_id": row.message}).scalar_one())
    present = DeliveryState(row.state)
    later = {
        "about": row.about,
        "destination": row.destination,
        "delivery_id": row.id,
        "message_id": row.message,
    }
    overtaken_by = transaction.connection.execute(_OVERTAKEN_BY, later).scalar()
    step = step_of(act, present, state, [DeliveryState(other) for other in others], overtaken_by)
    changed: dict[str, object] = {
        "delivery_id": id_,
        "state": step.delivery,
        "changed_at": now,
        "note": reason,
    }
    if step.delivery is not DeliveryState.HELD:
        changed |= {"attempts": 0, "since": now}
    if present is DeliveryState.DELIVERED:
        changed["unsure"] = True  # until customs itself says that it lost it
    if state is State.DELIVERED:
        # A delivery that was taken does not move to another back-end, and its sender knows that it is
        # accepted.
        changed |= {"alternatives": [], "told_at": now}
    transaction.connection.execute(_CHANGE, changed)
    queue_for_sending(transaction, [id_], now)
    detail = {"delivery": id_, "destination": row.destination, "key": row.key}
    after = apply_as_read(transaction, change_of(step, row.message, actor, reason, now, detail))
    return step.delivery, after

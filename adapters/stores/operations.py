"""Operators' acts on messages, each one commit with its event."""

from datetime import datetime

from sqlalchemy import select, update

from adapters.stores.database import Transaction
from adapters.stores.tables import deliveries, messages
from gateway.operations import replay_event
from gateway.ports import Folder
from gateway.states import DeliveryState, Event, State, advance


def replay(transaction: Transaction, message: str, actor: str, reason: str, now: datetime) -> State:
    """The state after it. Raises `IllegalTransition`, and `KeyError` where there is no such message."""
    row = transaction.connection.execute(select(messages).where(messages.c.id == message)).first()
    if row is None:
        raise KeyError(message)
    own = deliveries.c.message == message
    sent_before = transaction.connection.execute(select(deliveries.c.id).where(own)).first()
    event = replay_event(State(row.state), was_accepted=sent_before is not None)
    state = advance(State(row.state), event)
    changed: dict[str, object] = {
        "state": state,
        "revision": row.revision + 1,
        "moved_at": now,
        "reason": "",
    }
    if event is Event.REPLAYED:
        changed |= {"attempts": 0, "lease_until": None, "not_before": None, "folder": Folder.OUTBOX}
    else:
        # Refused or given up: what became of it at the back-end is asked before it is sent again.
        transaction.connection.execute(
            update(deliveries)
            .where(own, deliveries.c.state != DeliveryState.DELIVERED)
            .values(state=DeliveryState.UNKNOWN, attempts=0, next_at=now, changed_at=now)
        )
    transaction.connection.execute(update(messages).where(messages.c.seq == row.seq), changed)
    transaction.log(message, now, event, actor, state, reason=reason)
    return state

"""Accepted declarations that are held before customs takes them, since their agreement was revoked."""

from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, select, text, update

from adapters.stores.database import Transaction
from adapters.stores.tables import TO_SEND, deliveries, messages
from gateway.states import DeliveryState, Event, State, advance

ACTOR: Final = "gateway"

_ACCEPTED: Final = select(messages.c.seq, messages.c.id, messages.c.state, messages.c.revision).where(
    messages.c.agreement == bindparam("number"), text("state = 'accepted'")
)
_CHANGE: Final = update(messages).where(messages.c.seq == bindparam("wanted"))
_HOLD: Final = update(deliveries).where(deliveries.c.message == bindparam("wanted"), TO_SEND)


def hold_under(transaction: Transaction, number: str, now: datetime) -> None:
    """Holds every message that was accepted under this agreement and that customs has not taken, with the
    deliveries that wait. One that is being sent right now is held when it turns out not to be taken."""
    reason = f"agreement {number} was terminated"
    for row in transaction.connection.execute(_ACCEPTED, {"number": number}).all():
        state = advance(State(row.state), Event.STOPPED)
        transaction.connection.execute(
            _CHANGE,
            {
                "wanted": row.seq,
                "state": state,
                "revision": row.revision + 1,
                "moved_at": now,
                "reason": reason,
            },
        )
        transaction.connection.execute(
            _HOLD, {"wanted": row.id, "state": DeliveryState.HELD, "note": reason, "changed_at": now}
        )
        transaction.log(row.id, now, Event.STOPPED, ACTOR, state, reason=reason)

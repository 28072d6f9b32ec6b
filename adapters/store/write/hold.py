"""Messages that are stopped before customs takes them: by operators, or since their agreement was revoked."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, bindparam, or_, select, text, update

from adapters.store.database import Transaction
from adapters.store.tables.messages import TO_SEND, agreements, deliveries, messages
from gateway.model.states import DeliveryState, Event, State, advance

ACTOR: Final = "gateway"

# Under the agreement itself, or under one that stands under it.
_ACCEPTED: Final = select(messages.c.seq, messages.c.id, messages.c.state, messages.c.revision).where(
    or_(
        messages.c.agreement == bindparam("number"),
        messages.c.agreement.in_(
            select(agreements.c.number).where(
                agreements.c.record["mandate"].as_string() == bindparam("number")
            )
        ),
    ),
    text("state = 'accepted'"),
)
_CHANGE: Final = update(messages).where(messages.c.seq == bindparam("wanted"))
_HOLD: Final = update(deliveries).where(deliveries.c.message == bindparam("wanted"), TO_SEND)


def hold_under(transaction: Transaction, number: str, now: datetime) -> None:
    """Holds every message that was accepted under this agreement, or under one that stands under this
    mandate, and that customs has not taken, with the deliveries that wait."""
    reason = f"agreement {number} was terminated"
    for row in transaction.connection.execute(_ACCEPTED, {"number": number}).all():
        stop(transaction, row, ACTOR, reason, now)


NOTHING: Final[Mapping[str, str]] = {}


def stop(
    transaction: Transaction,
    row: Row[*tuple[Any, ...]],
    actor: str,
    reason: str,
    now: datetime,
    told: Mapping[str, str] = NOTHING,
) -> State:
    """Holds a message with the deliveries that wait, and returns its state. One that is being sent right now
    is held when it turns out not to be taken; a judgement that is under way comes too late. `told` stands in
    its event."""
    state = advance(State(row.state), Event.STOPPED)
    transaction.connection.execute(
        _CHANGE,
        {
            "wanted": row.seq,
            "state": state,
            "revision": row.revision + 1,
            "moved_at": now,
            "reason": reason,
            "lease_until": None,
            # What it waited for, it may wait for anew when it goes on.
            "waiting_for": None,
            "until": None,
        },
    )
    transaction.connection.execute(
        _HOLD, {"wanted": row.id, "state": DeliveryState.HELD, "note": reason, "changed_at": now}
    )
    transaction.log(row.id, now, Event.STOPPED, actor, state, reason=reason, **told)
    return state

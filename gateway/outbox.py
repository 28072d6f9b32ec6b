"""What follows from one attempt to deliver: decisions as values, so that they can be tested without waiting.

Every retry of the gateway is decided here and nowhere else. A submission has one key however often it is
sent, so a second sending can have no second effect; still, after an unknown outcome the back-end is asked
first.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.ports import Outcome
from gateway.states import DeliveryState

FIRST_DELAY: Final = timedelta(seconds=1)
LONGEST_DELAY: Final = timedelta(minutes=5)
ATTEMPTS: Final = 300  # between 12 and 24 hours of an authority that is down


@dataclass(frozen=True, slots=True)
class Step:
    """The state that a delivery gets, and when it is taken up again where that state asks for it."""

    state: DeliveryState
    next_at: datetime


def next_step(outcome: Outcome, attempts: int, now: datetime, jitter: float) -> Step:
    """What becomes of a delivery after its `attempts`-th attempt; `jitter` is drawn from [0, 1)."""
    if outcome is Outcome.TAKEN:
        return Step(DeliveryState.DELIVERED, now)
    if outcome is Outcome.NEVER:
        return Step(DeliveryState.REFUSED, now)
    if attempts >= ATTEMPTS:
        return Step(DeliveryState.HELD, now)
    state = DeliveryState.UNKNOWN if outcome is Outcome.UNKNOWN else DeliveryState.PENDING
    return Step(state, now + delay(attempts, jitter))


def delay(attempts: int, jitter: float) -> timedelta:
    """Exponential from `FIRST_DELAY`, at most `LONGEST_DELAY`, of which between a half and all is waited, so
    that what failed together does not come back together."""
    full = min(LONGEST_DELAY, FIRST_DELAY * (1 << min(attempts - 1, 16)))
    return full * (0.5 + jitter / 2)

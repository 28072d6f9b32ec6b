"""What follows from one attempt to deliver, as values, so that it can be tested without waiting.

Every retry of the gateway is decided here and nowhere else. A submission has one key however often it is
sent, so a second sending can have no second effect; still, after an unknown outcome the back-end is asked
first. `circuit_breaker` decides when a failing destination is left
alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.model.delivery import Outcome
from gateway.model.states import DeliveryState


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long one delivery is tried again: delays from `first`, doubled up to `longest`, and no more
    than `attempts`. None sets no limit other than the budget of time, and such attempts are not counted."""

    first: timedelta
    longest: timedelta
    attempts: int | None


_OUTAGE: Final = RetryPolicy(timedelta(seconds=1), timedelta(minutes=5), 300)
PATIENCE: Final[Mapping[Outcome, RetryPolicy]] = {
    Outcome.LATER: _OUTAGE,
    Outcome.UNKNOWN: _OUTAGE,
    # The destination works, but is overloaded: `rate_limit` slows down.
    Outcome.BUSY: RetryPolicy(timedelta(seconds=5), timedelta(seconds=5), None),
    # Nothing changes until an operator repairs the connection.
    Outcome.DENIED: RetryPolicy(timedelta(minutes=5), timedelta(minutes=5), None),
}


# Outcomes that show that the destination is down. `NEVER` and `BUSY` come from one that works.
FAILING: Final = (Outcome.LATER, Outcome.UNKNOWN, Outcome.DENIED)


@dataclass(frozen=True, slots=True)
class NextAttempt:
    """The new state of a delivery, and when it is tried again, if the state asks for that. `counted`: the
    attempt counts against the delivery. `note` is for operators, where the decision adds to the error
    text."""

    state: DeliveryState
    next_at: datetime
    counted: bool = True
    note: str = ""


def next_step(
    outcome: Outcome,
    attempts: int,
    now: datetime,
    jitter: float,
    *,
    until: datetime,
    probe: bool = False,
    unsure: bool = False,
) -> NextAttempt:
    """What becomes of a delivery after its `attempts`-th attempt; `jitter` is drawn from [0, 1).

    `until` is the end of its time (budget). A `probe` was sent to a destination that is known to be down: its
    outcome says nothing about the delivery, and is not counted. `unsure`: customs may have the message from
    an earlier attempt.
    """
    if outcome is Outcome.TAKEN:
        return NextAttempt(DeliveryState.DELIVERED, now)
    if outcome is Outcome.NEVER:
        return NextAttempt(DeliveryState.REFUSED, now)
    policy = PATIENCE[outcome]
    counted = policy.attempts is not None and not probe
    if now >= until:
        return NextAttempt(DeliveryState.HELD, now, counted, "its time is over")
    if counted and policy.attempts is not None and attempts >= policy.attempts:
        return NextAttempt(DeliveryState.HELD, now, counted, f"given up after {attempts} attempts")
    ask = unsure or outcome is Outcome.UNKNOWN
    state = DeliveryState.UNKNOWN if ask else DeliveryState.PENDING
    return NextAttempt(state, now + delay(policy, attempts, jitter), counted)


def delay(policy: RetryPolicy, attempts: int, jitter: float) -> timedelta:
    """The exponential delay from `first` to `longest`, of which a random part between a half and all is
    waited, so that deliveries which failed together are not retried together."""
    full = min(policy.longest, policy.first * (1 << min(attempts - 1, 16)))
    return full * (0.5 + jitter / 2)

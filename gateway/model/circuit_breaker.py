"""Whether a destination is sent to: its circuit breaker lets through all submissions, none, or one as a
probe; an operator's pause lets through none."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

FAILURES: Final = 5  # consecutive failures after which it opens
FIRST_PAUSE: Final = timedelta(seconds=1)
LONGEST_PAUSE: Final = timedelta(seconds=60)


class BreakerState(StrEnum):
    CLOSED = "closed"  # the destination works, as far as is known
    OPEN = "open"  # nothing is sent until `probe_at`
    PROBING = "probing"  # one submission is on its way


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreaker:
    """`failures` in a row; `since` is when it last closed or opened; `note` is the last error, for
    operators."""

    state: BreakerState
    failures: int
    since: datetime
    probe_at: datetime | None = None
    note: str = ""

    @classmethod
    def new(cls, now: datetime) -> "CircuitBreaker":
        return cls(state=BreakerState.CLOSED, failures=0, since=now)

    @property
    def closed(self) -> bool:
        return self.state is BreakerState.CLOSED

    def may_probe(self, now: datetime) -> bool:
        if self.state is not BreakerState.OPEN or self.probe_at is None:
            return False
        # A time further ahead than any pause was written before the clock was set back.
        return not now < self.probe_at <= now + LONGEST_PAUSE

    def probing(self) -> "CircuitBreaker":
        """A probe is under way; there is no second one until its outcome is known."""
        return replace(self, state=BreakerState.PROBING, probe_at=None)

    def taken_over(self, now: datetime) -> "CircuitBreaker":
        """The breaker as a new node takes it over: an earlier node's probe has no owner any more, and a
        destination that was repaired meanwhile must not wait."""
        return self if self.closed else self.tried(now)

    def tried(self, now: datetime) -> "CircuitBreaker":
        """Let through one probe now."""
        return replace(self, state=BreakerState.OPEN, probe_at=now)

    def worked(self, now: datetime) -> "CircuitBreaker":
        """Closes the breaker, whatever its state was."""
        if self.closed and self.failures == 0:
            return self
        return CircuitBreaker(state=BreakerState.CLOSED, failures=0, since=self.since if self.closed else now)

    def failed(self, note: str, now: datetime, *, probe: bool) -> "CircuitBreaker":
        """While the breaker is not closed, only a probe's failure counts: failures of submissions that were
        under way when it opened are no news."""
        if self.closed:
            failures = self.failures + 1
            if failures < FAILURES:
                return replace(self, failures=failures, note=note)
            return CircuitBreaker(
                state=BreakerState.OPEN,
                failures=failures,
                since=now,
                probe_at=now + FIRST_PAUSE,
                note=note,
            )
        if not probe:
            return self
        failures = self.failures + 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * (1 << min(failures - FAILURES, 16)))
        return replace(self, state=BreakerState.OPEN, failures=failures, probe_at=now + pause, note=note)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """An operator's order to send nothing to a destination; its answers are still taken in."""

    actor: str
    at: datetime
    reason: str

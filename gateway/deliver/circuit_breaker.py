"""The breaker in front of a destination: whether it is tried, spared, or tried with one submission."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

FAILURES: Final = 5  # in a row, then it opens
FIRST_PAUSE: Final = timedelta(seconds=1)
LONGEST_PAUSE: Final = timedelta(seconds=60)


class BreakerState(StrEnum):
    CLOSED = "closed"  # it works, as far as is known
    OPEN = "open"  # it is spared until `probe_at`
    PROBING = "probing"  # one submission is on its way


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreaker:
    """`failures` in a row; `since` it is closed, or else not; `note` is what was said last, for operators."""

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
        # One that is further ahead than any pause was written before the clock was set back.
        return not now < self.probe_at <= now + LONGEST_PAUSE

    def probing(self) -> "CircuitBreaker":
        """A probe is under way; there is no second one until its outcome is known."""
        return replace(self, state=BreakerState.PROBING, probe_at=None)

    def found(self, now: datetime) -> "CircuitBreaker":
        """As a node finds it that was not there: the probe that was under way is nobody's any more, and what
        was mended meanwhile is not to wait."""
        return self if self.closed else self.tried(now)

    def tried(self, now: datetime) -> "CircuitBreaker":
        """Let through one probe now."""
        return replace(self, state=BreakerState.OPEN, probe_at=now)

    def worked(self, now: datetime) -> "CircuitBreaker":
        """Closed, whatever it was."""
        if self.closed and self.failures == 0:
            return self
        return CircuitBreaker(state=BreakerState.CLOSED, failures=0, since=self.since if self.closed else now)

    def failed(self, note: str, now: datetime, *, probe: bool) -> "CircuitBreaker":
        """While it is not closed, only a probe's failure counts: what was on its way when it opened says
        nothing new."""
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

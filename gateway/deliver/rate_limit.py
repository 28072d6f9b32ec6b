"""The rate limit of a destination: how many at once, how many a second, and a slow start after an outage."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

FIRST_REST: Final = timedelta(seconds=1)
LONGEST_REST: Final = timedelta(seconds=60)
_BURST: Final = 0.1  # seconds' worth of the rate that may go at once


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """At most `at_once` submissions under way, and `rate` a second (0: no limit)."""

    at_once: int
    rate: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """`allowed` of `at_once` may be under way; `run` were taken since `allowed` last changed. `tokens` of the
    rate were available at `at`. Before `rest_until` nothing is sent, since the destination asked for it."""

    limits: RateLimits
    allowed: int
    tokens: float
    at: datetime
    run: int = 0
    rest: timedelta = FIRST_REST
    rest_until: datetime | None = None

    @classmethod
    def full(cls, limits: RateLimits, now: datetime) -> "RateLimit":
        return cls(limits=limits, allowed=limits.at_once, tokens=_most(limits), at=now)

    def slow(self) -> "RateLimit":
        """After an outage: one at a time, then two, four, up to all."""
        return replace(self, allowed=1, run=0)

    def free(self, at_work: int, now: datetime) -> int:
        """How many more may be sent now."""
        if self._rests(now):
            return 0
        free = max(0, self.allowed - at_work)
        return min(free, int(self._filled(now))) if self.limits.rate else free

    def wait(self, now: datetime) -> float:
        """Seconds until the rate allows another; 0 where something else than the rate holds it back."""
        missing = 1.0 - self._filled(now) if self.limits.rate else 0.0
        return max(0.0, missing / self.limits.rate) if missing > 0 else 0.0

    def handed(self, number: int, now: datetime) -> "RateLimit":
        return replace(self, tokens=self._filled(now) - number, at=now) if self.limits.rate else self

    def taken(self) -> "RateLimit":
        """Counts one more as taken: after as many in a row as are allowed at once, twice as many are
        allowed."""
        if self.allowed == self.limits.at_once and self.rest == FIRST_REST:
            return self
        run = self.run + 1
        if run < self.allowed:
            return replace(self, run=run, rest=FIRST_REST)
        return replace(self, allowed=min(self.limits.at_once, self.allowed * 2), run=0, rest=FIRST_REST)

    def busy(self, now: datetime) -> "RateLimit":
        """The destination asks for less: half as many at once, after a rest that grows each time it asks.
        Submissions that were under way together count as one request."""
        if self._rests(now):
            return self
        return replace(
            self,
            allowed=max(1, self.allowed // 2),
            run=0,
            rest=min(LONGEST_REST, self.rest * 2),
            rest_until=now + self.rest,
        )

    def _rests(self, now: datetime) -> bool:
        # A time further ahead than any rest was written before the clock was set back.
        return self.rest_until is not None and now < self.rest_until <= now + LONGEST_REST

    def _filled(self, now: datetime) -> float:
        # A clock that was set back does not tell how much time passed: one second is assumed.
        passed = (now - self.at).total_seconds() if now >= self.at else 1.0
        return min(_most(self.limits), self.tokens + passed * self.limits.rate)


def _most(limits: RateLimits) -> float:
    return max(2.0, limits.rate * _BURST)

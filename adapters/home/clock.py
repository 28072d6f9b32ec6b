"""The clock: this machine's, or, inside `telling`, one that was handed in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final

Clock = Callable[[], datetime]


def _machine() -> datetime:
    return datetime.now(UTC)


_clock: Final[ContextVar[Clock]] = ContextVar("clock", default=_machine)


def utc_now() -> datetime:
    return _clock.get()()


@contextmanager
def telling(clock: Clock) -> Iterator[None]:
    """Whoever asks for the time inside this context is told it by `clock`; other threads are not."""
    before = _clock.set(clock)
    try:
        yield
    finally:
        _clock.reset(before)

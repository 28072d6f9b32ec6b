"""The clock: this machine's, or, inside `telling`, another one."""

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
    """Inside this context the time comes from `clock`; other threads are not affected."""
    before = _clock.set(clock)
    try:
        yield
    finally:
        _clock.reset(before)

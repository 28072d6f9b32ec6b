"""What the time is."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Aware UTC time. The stages never get a clock: they get `now`."""

    def __call__(self) -> datetime: ...

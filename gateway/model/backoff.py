"""How long something that fails waits before it is tried again. Pure."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses in seconds: from `first`, each twice the one before, at most `longest`."""

    first: float = 0.5
    longest: float = 10.0

    def pause(self, failures: int) -> float:
        """The pause after this many failures in a row."""
        return min(self.longest, self.first * 2.0 ** min(failures - 1, 64))


WHILE_THE_STORE_FAILS: Final = Backoff()

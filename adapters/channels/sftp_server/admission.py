"""Who may connect, how often and how long: counts that all connections of the server share."""

import threading
import time
from collections import Counter, deque
from typing import Final

from gateway.parties import Account

# From the connection to the first session: key exchange and log-in take a second on the slowest link.
GRACE_SECONDS: Final = 20.0
IDLE_SECONDS: Final = 900.0
ATTEMPTS: Final = 3
CHANNELS: Final = 4  # on one connection
_CONNECTIONS: Final = 512
# Connections that have not logged in yet: in all, and from one address (an office behind one of them).
_STRANGERS: Final = 128
_STRANGERS_FROM_ONE: Final = 32
# More log-ins than this that failed within a minute shut an address out until the minute is over.
_FAILURES: Final = 20
_FAILURE_SECONDS: Final = 60.0


class Admission:
    """Each verb is atomic. Time is monotonic seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections = 0
        self._strangers: Counter[str] = Counter()
        self._sessions: Counter[str] = Counter()
        self._failures: dict[str, deque[float]] = {}

    def knock(self, address: str) -> bool:
        """Whether a connection from `address` is let in; if so it counts until `leave`."""
        with self._lock:
            if (
                self._connections >= _CONNECTIONS
                or self._strangers.total() >= _STRANGERS
                or self._strangers[address] >= _STRANGERS_FROM_ONE
                or self._shut_out(address)
            ):
                return False
            self._connections += 1
            self._strangers[address] += 1
            return True

    def leave(self, address: str, *, known: bool, failed: bool) -> None:
        with self._lock:
            self._connections -= 1
            if not known:
                self._forget_stranger(address)
            if failed:
                self._failures.setdefault(address, deque(maxlen=_FAILURES)).append(time.monotonic())

    def known(self, address: str) -> None:
        """The connection has logged in."""
        with self._lock:
            self._forget_stranger(address)

    def begin(self, account: Account) -> bool:
        """Whether the account may have one more session; if so it counts until `end`."""
        with self._lock:
            if self._sessions[account.name] >= account.max_sessions:
                return False
            self._sessions[account.name] += 1
            return True

    def end(self, account: Account) -> None:
        with self._lock:
            self._sessions[account.name] -= 1

    def _forget_stranger(self, address: str) -> None:
        self._strangers[address] -= 1
        if not self._strangers[address]:
            del self._strangers[address]

    def _shut_out(self, address: str) -> bool:
        since = time.monotonic() - _FAILURE_SECONDS
        for each in [each for each, times in self._failures.items() if times[-1] < since]:
            del self._failures[each]
        times = self._failures.get(address)
        return times is not None and len(times) == _FAILURES and times[0] >= since

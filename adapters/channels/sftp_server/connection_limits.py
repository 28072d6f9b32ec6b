"""Who may connect, how often and for how long: counts shared by all connections of the server."""

import random
import threading
import time
from collections import Counter, deque
from typing import Final

from gateway.model.parties import Account

# From the connection to the first session: key exchange and log-in take a second on the slowest link.
GRACE_SECONDS: Final = 20.0
# Until the client identifies itself, which every client does at once.
BANNER_SECONDS: Final = 5.0
IDLE_SECONDS: Final = 900.0
ATTEMPTS: Final = 3
CHANNELS: Final = 4  # on one connection
_CONNECTIONS: Final = 512
# Connections that have not logged in yet: in total, and from one address (it may be that of a whole office).
# From the first number on, new ones are dropped at random; from the second on, always (sshd_config,
# MaxStartups).
_STRANGERS: Final = (64, 128)
_STRANGERS_FROM_ONE: Final = (16, 32)
_FIRST_CHANCE: Final = 0.3
# Each wrong key within a minute delays the answer to the address's next one by this much more.
_WAIT_FOR_EACH: Final = 0.1
_LONGEST_WAIT: Final = 2.0
_FAILURE_SECONDS: Final = 60.0
# Delayed connections: they do not count as strangers, and their number is limited too.
_SLOWED: Final = 128
_SLOWED_FROM_ONE: Final = 32


def drop_chance(present: int, begin: int, full: int) -> float:
    """The probability of dropping a new connection by the number of `present` ones: 0 below `begin`, then
    growing, and 1 from `full` on."""
    if present < begin:
        return 0.0
    return min(1.0, _FIRST_CHANCE + (1 - _FIRST_CHANCE) * (present - begin) / (full - begin))


class ConnectionLimits:
    """Each method is atomic. Time is monotonic seconds.

    A connection is a stranger until it logs in. After a wrong key it is slowed until it does log in: clients
    with a right key are never kept out by those without.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._random = random.Random()  # noqa: S311  fairness, no secret
        self._connections = 0
        self._strangers: Counter[str] = Counter()
        self._slowed: Counter[str] = Counter()
        self._sessions: Counter[str] = Counter()
        self._failures: dict[str, deque[float]] = {}

    def admit(self, address: str) -> bool:
        """Whether a connection from `address` is admitted. If so, it counts as a stranger until it has logged
        in, shown a wrong key or been released."""
        with self._lock:
            chance = max(
                drop_chance(self._strangers.total(), *_STRANGERS),
                drop_chance(self._strangers[address], *_STRANGERS_FROM_ONE),
            )
            if self._connections >= _CONNECTIONS or self._random.random() < chance:
                return False
            self._connections += 1
            self._strangers[address] += 1
            return True

    def failed(self, address: str, *, first: bool) -> float | None:
        """A stranger showed a wrong key, for the `first` time or again. Returns how long it must wait for the
        answer; None if so many wait that this one must be disconnected."""
        with self._lock:
            if first:
                if self._slowed[address] >= _SLOWED_FROM_ONE or self._slowed.total() >= _SLOWED:
                    return None
                _less(self._strangers, address)
                self._slowed[address] += 1
            return min(_WAIT_FOR_EACH * self._note_failure(address), _LONGEST_WAIT)

    def logged_in(self, address: str, *, slowed: bool) -> None:
        """The connection has logged in."""
        with self._lock:
            _less(self._slowed if slowed else self._strangers, address)

    def release(self, address: str, *, logged_in: bool, slowed: bool) -> None:
        with self._lock:
            self._connections -= 1
            if not logged_in:
                _less(self._slowed if slowed else self._strangers, address)

    def begin(self, account: Account) -> bool:
        """Whether the account may have one more session; if so, it counts until `end`."""
        with self._lock:
            if self._sessions[account.name] >= account.max_sessions:
                return False
            self._sessions[account.name] += 1
            return True

    def end(self, account: Account) -> None:
        with self._lock:
            self._sessions[account.name] -= 1

    def _note_failure(self, address: str) -> int:
        """The failures of the address within a minute."""
        now = time.monotonic()
        since = now - _FAILURE_SECONDS
        for each in [each for each, times in self._failures.items() if times[-1] < since]:
            del self._failures[each]
        enough = int(_LONGEST_WAIT / _WAIT_FOR_EACH)
        times = self._failures.setdefault(address, deque(maxlen=enough))
        times.append(now)
        return sum(at >= since for at in times)


def _less(counted: Counter[str], address: str) -> None:
    counted[address] -= 1
    if not counted[address]:
        del counted[address]

"""Whether the process is alive, and whether it can accept messages; each check with the reason if not."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from adapters.monitor.metrics import Metrics, ages
from adapters.monitor.snapshot import SnapshotReader
from adapters.store.database import Database, Transaction
from gateway.model.clock import Clock

# A round may contain a delivery that takes its full time limit; a loop that hangs never continues.
STUCK_AFTER: Final = 900.0  # seconds
LEAST_FREE: Final = 256 * 1024 * 1024  # bytes, half a package of the largest usual size
_COMMIT_WITHIN: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`why` is empty if the check passed."""

    name: str
    why: str

    @property
    def ok(self) -> bool:
        return not self.why


class Health:
    """`ailing` returns why no worker can be started, empty if they can."""

    def __init__(
        self,
        database: Database,
        reader: SnapshotReader,
        metrics: Metrics,
        ailing: Callable[[], str],
        clock: Clock,
    ) -> None:
        self._database = database
        self._reader = reader
        self._metrics = metrics
        self._ailing = ailing
        self._clock = clock

    async def live(self) -> Sequence[Check]:
        """Checks that the loops run and the store can be read: if not, the process should be restarted."""
        return [self._loops(), await self._readable()]

    async def ready(self) -> Sequence[Check]:
        """Checks that messages sent now would be accepted and judged. Back-ends that are down do not count:
        messages for them are accepted and wait."""
        return [
            *await self.live(),
            await self._writable(),
            Check(name="workers", why=self._ailing()),
            *await self._outside(),
        ]

    def _loops(self) -> Check:
        turning = ages(self._metrics.ticks, self._clock())
        stuck = sorted(loop for loop, age in turning.items() if age > STUCK_AFTER)
        why = f"no round for long: {', '.join(stuck)}" if stuck else ""
        return Check(name="loops", why=why if turning else "not begun yet")

    async def _readable(self) -> Check:
        try:
            await asyncio.wait_for(self._reader.snapshot(), _COMMIT_WITHIN)
        except Exception as error:  # whatever it is, the operator needs its name
            return Check(name="store read", why=type(error).__name__)
        return Check(name="store read", why="")

    async def _writable(self) -> Check:
        try:
            await asyncio.wait_for(self._database.write(_touch), _COMMIT_WITHIN)
        except TimeoutError:
            return Check(name="store write", why=f"no commit within {_COMMIT_WITHIN:.0f} s")
        except Exception as error:
            return Check(name="store write", why=type(error).__name__)
        return Check(name="store write", why="")

    async def _outside(self) -> Sequence[Check]:
        try:
            snapshot = await asyncio.wait_for(self._reader.snapshot(), _COMMIT_WITHIN)
        except Exception:
            return ()  # reported by the store's own check
        full = "" if snapshot.free_bytes >= LEAST_FREE else f"{snapshot.free_bytes // 1024**2} MB free"
        checks = [Check(name="disk", why=full), Check(name="fit to judge", why=snapshot.unfit)]
        if snapshot.link is not None:
            blocked = "blocked by the broker" if snapshot.link.blocked else ""
            checks.append(Check(name="amqp", why=blocked if snapshot.link.connected else "not connected"))
        return checks


def _touch(transaction: Transaction) -> None:
    """Writes a page and changes nothing."""
    connection = transaction.connection
    version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    connection.exec_driver_sql(f"PRAGMA user_version = {int(version)}")

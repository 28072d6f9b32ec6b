"""Watches a node: checks it, opens and clears alarms in the store, and sends their notifications.

Each notifier (log, mail, webhook) works independently: one that fails is tried again with growing pauses, and
delays no other. Accepted notifications are recorded in the store; a node that dies before that sends them
again after its restart. If the store cannot be read or written, that alarm is sent from memory.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import Connection

from adapters.monitor.alarm_notifiers import Notifier, NotNotified
from adapters.monitor.gauges import Gauges
from adapters.monitor.snapshot import SnapshotReader
from adapters.store.database import Database
from adapters.store.read.office_stats import office_statistics
from adapters.store.read.operator_acts import acts_since
from adapters.store.write.alarms import open_alarms, record_notified, to_tell, write
from gateway.config.monitoring import AlarmSettings
from gateway.families.families import Families
from gateway.model.backoff import Backoff
from gateway.model.band_policy import MonitoringPolicy
from gateway.model.clock import Clock
from gateway.model.faults import printable
from gateway.model.policy import OperationsPolicy
from gateway.monitor.alarm_conditions import ACTS_OF, conditions, many_acts
from gateway.monitor.alarms import (
    Alarm,
    AlarmNotice,
    AlarmSeverity,
    Changes,
    Condition,
    NoticeKind,
    changes,
    notices_due,
)
from gateway.monitor.statistics_bands import bands, warnings

_BACKOFF: Final = Backoff(first=1.0, longest=300.0)  # for a notifier whose receiver does not accept
_FAILURES: Final = 2  # consecutive failed checks; a single one may have met a change in progress

log = structlog.get_logger()


class AlarmWatch:
    def __init__(
        self,
        database: Database,
        reader: SnapshotReader,
        gauges: Gauges,
        settings: AlarmSettings,
        policy: MonitoringPolicy,
        families: Families,
        notifiers: Sequence[Notifier],
        clock: Clock,
    ) -> None:
        self._database = database
        self._reader = reader
        self._gauges = gauges
        self._settings = settings
        self.policy = policy
        self.operations = OperationsPolicy()
        self._families = families
        self._notifiers = notifiers
        self._clock = clock
        self._warnings: list[Condition] = []
        self._figures_due: datetime | None = None
        self._sent_at: dict[str, list[datetime]] = {notifier.name: [] for notifier in notifiers}
        self._in_hand: dict[tuple[str, int], asyncio.Task[None]] = {}  # by notifier and alarm
        self._over: set[tuple[str, int]] = set()  # those of them whose alarms have cleared meanwhile
        self._failures = 0  # consecutive failed checks
        self._failing: Alarm | None = None  # notified from memory, since the store does not accept it
        self._unnoted: set[asyncio.Task[bool]] = set()

    async def round(self) -> None:
        """One check. If it fails again, as every check does that cannot write to a full disk, that alarm is
        notified from memory: the log, mail and webhook need no store."""
        now = self._clock()
        try:
            await self.look()
        except Exception as error:
            log.error("watch failed", error=printable(type(error).__name__))
            self._failures += 1
            if self._failures == _FAILURES:
                self._failing = _failing(now)
                self._tell_unnoted(AlarmNotice(news=NoticeKind.OPEN, alarms=(self._failing,)), now)
            return
        self._failures = 0
        if self._failing is not None:
            cleared, self._failing = replace(self._failing, cleared_at=now), None
            self._tell_unnoted(AlarmNotice(news=NoticeKind.CLEAR, alarms=(cleared,)), now)

    def _tell_unnoted(self, notice: AlarmNotice, now: datetime) -> None:
        def over() -> bool:
            return notice.news is NoticeKind.OPEN and self._failing is None

        for notifier in self._notifiers:
            task = asyncio.create_task(_until_taken(notifier, notice, now, over))
            self._unnoted.add(task)
            task.add_done_callback(self._unnoted.discard)

    async def look(self) -> None:
        """One round: problems become alarms, and due notifications are started."""
        snapshot, now = await self._reader.snapshot(), self._clock()
        await self._take_figures(now)
        met = [*conditions(snapshot, self._settings), *self._warnings]
        quiet = timedelta(minutes=self._settings.quiet_minutes)
        changed = changes(await self._database.read(open_alarms), met, now, quiet)
        if changed != Changes():
            await self._database.write(lambda transaction: write(transaction, changed, now))
        cleared = {alarm.id for alarm in changed.cleared}
        self._over |= {key for key in self._in_hand if key[1] in cleared}
        for notifier in self._notifiers:
            await self._tell_all(notifier, now)

    async def _tell_all(self, notifier: Notifier, now: datetime) -> None:
        """Starts everything that this notifier has to send."""
        alarms = await self._database.read(lambda reader: to_tell(reader, notifier.name))
        waiting = [each for each in alarms if (notifier.name, each.id) not in self._in_hand]
        remind = timedelta(hours=self._settings.remind_hours)
        recent = [at for at in self._sent_at[notifier.name] if now - at < timedelta(hours=1)]
        for notice in notices_due(waiting, recent, now, self._settings.hourly, remind):
            if not notice.critical:
                recent.append(now)
            task = asyncio.create_task(self._tell(notifier, notice, now))
            for alarm in notice.alarms:
                self._in_hand[notifier.name, alarm.id] = task
        self._sent_at[notifier.name] = recent

    async def _take_figures(self, now: datetime) -> None:
        if self._figures_due is not None and now < self._figures_due:
            return
        self._figures_due = now + timedelta(minutes=self.policy.minutes)
        since = now - timedelta(hours=self.policy.window_hours)

        def query(reader: Connection) -> list[Condition]:
            self._gauges.bands = bands(office_statistics(reader, since, now, self._families), self.policy)
            acts = acts_since(reader, now - ACTS_OF)
            return [*warnings(self._gauges.bands), *many_acts(acts, self.operations.four_eyes_from)]

        self._warnings = await self._reader.read(query)

    async def _tell(self, notifier: Notifier, notice: AlarmNotice, now: datetime) -> None:
        hands = [(notifier.name, alarm.id) for alarm in notice.alarms]

        def over() -> bool:
            return notice.news is not NoticeKind.CLEAR and all(key in self._over for key in hands)

        try:
            if await _until_taken(notifier, notice, now, over):
                await self._database.write(
                    lambda to: record_notified(to, notice, notifier.name, self._clock())
                )
        except Exception as error:  # the store did not record it: sent again
            log.error("telling not noted", error=type(error).__name__)
        finally:
            for key in hands:
                self._in_hand.pop(key, None)
                self._over.discard(key)

    async def run(self) -> None:
        while True:
            await self.round()
            await asyncio.sleep(self._settings.seconds)

    async def end(self) -> None:
        tasks = {*self._in_hand.values(), *self._unnoted}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _failing(now: datetime) -> Alarm:
    return Alarm(
        id=0,
        key="store",
        severity=AlarmSeverity.CRITICAL,
        zh="网关无法读写数据库（磁盘可能已满），新的告警无法登记",
        en="the store cannot be read or written (is the disk full?), and no alarm can be noted in it",
        opened_at=now,
        seen_at=now,
    )


async def _until_taken(
    notifier: Notifier, notice: AlarmNotice, now: datetime, over: Callable[[], bool]
) -> bool:
    """Returns whether it was accepted; stops when it is `over`: after an outage of a mail server nobody is
    notified of short problems that began and ended during the outage."""
    failures = 0
    while not over():
        try:
            await notifier.notify(notice, now)
        except NotNotified as error:
            log.warning("alarm not told", by=notifier.name, reason=str(error))
        except Exception as error:  # whatever the network does: the error's text may contain addresses
            log.warning("alarm not told", by=notifier.name, reason=type(error).__name__)
        else:
            return True
        await asyncio.sleep(_BACKOFF.pause(failures := failures + 1))
    log.info(
        "alarm over before it was told", by=notifier.name, keys=[_key(each) for each in notice.alarms[:20]]
    )
    return False


def _key(alarm: Alarm) -> str:
    return printable(f"{alarm.severity} {alarm.key}")


@asynccontextmanager
async def watching(watch: AlarmWatch) -> AsyncIterator[None]:
    work = asyncio.create_task(watch.run())
    try:
        yield
    finally:
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
        await watch.end()

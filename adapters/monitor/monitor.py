"""The monitoring of a node, from its settings: metrics, traces, alarms and the listener."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from datetime import datetime
from typing import TYPE_CHECKING

from adapters.home.home import Home
from adapters.monitor.alarm_notifiers import notifiers
from adapters.monitor.alarm_watch import AlarmWatch, watching
from adapters.monitor.gauges import Gauges
from adapters.monitor.health import Health
from adapters.monitor.metrics import Metrics
from adapters.monitor.snapshot import AnswerSource, BrokerLink, PolledHost, SnapshotReader
from adapters.store.database import Database
from gateway.config.bad_settings import BadSettings
from gateway.config.monitoring import TracingSettings
from gateway.config.settings import Settings
from gateway.families.families import Families
from gateway.model.clock import Clock
from gateway.model.policy import Policy
from gateway.monitor.observer import Observer, Observers

if TYPE_CHECKING:
    from adapters.monitor.tracing import Tracer


class Monitor:
    """`observer` receives the node's events. Raises `BadSettings` if traces are configured and cannot be
    made."""

    def __init__(self, home: Home, settings: Settings, clock: Clock) -> None:
        self._home = home
        self._settings = settings
        self._clock = clock
        self._metrics = Metrics()
        observers: list[Observer] = [self._metrics]
        self._end_tracing: Callable[[], None] | None = None
        self._watch: AlarmWatch | None = None
        if settings.tracing is not None:
            tracer = _tracer(settings.tracing)
            observers.append(tracer)
            self._end_tracing = tracer.close
        self.observer = Observers(observers)

    def judge_by(self, policy: Policy) -> None:
        if self._watch is not None:
            self._watch.policy, self._watch.operations = policy.monitoring, policy.operations

    @asynccontextmanager
    async def at_work(
        self,
        database: Database,
        policy: Policy,
        families: Families,
        ailing: Callable[[], str],
        connections: Sequence[BrokerLink],
        partners: Sequence[PolledHost],
        backends: Mapping[str, AnswerSource],
        unfit: Callable[[datetime], str],
        unfinished: Callable[[], Mapping[str, int]],
    ) -> AsyncIterator[tuple[str, int] | None]:
        """Watches while the context is open, including the AMQP channel's `connections`, the visits to
        `partners`, the status of `backends` that report one, whether the node is `unfit` to judge, and the
        files that accounts `left` unfinished; returns the address of the listener, if there is one."""
        home, settings, clock = self._home, self._settings, self._clock
        gauges = Gauges(self._metrics)
        async with AsyncExitStack() as stack:
            if self._end_tracing is not None:
                stack.push_async_callback(asyncio.to_thread, self._end_tracing)
            reader = stack.enter_context(
                closing(
                    SnapshotReader(home, settings, clock, connections, partners, backends, unfit, unfinished)
                )
            )
            active = notifiers(settings.alarms, home.path)
            watch = self._watch = AlarmWatch(
                *(database, reader, gauges, settings.alarms),
                *(policy.monitoring, families, active, clock),
            )
            watch.operations = policy.operations
            await stack.enter_async_context(watching(watch))
            if settings.metrics is None:
                yield None
            else:
                from adapters.monitor.http_listener import listening

                health = Health(database, reader, self._metrics, ailing, clock)
                pages = listening(settings.metrics, self._metrics, gauges, reader, health)
                yield await stack.enter_async_context(pages)


def _tracer(settings: TracingSettings) -> "Tracer":
    # OpenTelemetry is an extra, and is loaded only if it is configured.
    try:
        from adapters.monitor.tracing import Tracer
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "opentelemetry":
            raise
        raise BadSettings(
            "gateway.toml: tracing: needs the extra: pip install 'customs-edi-gateway[tracing]'"
        ) from None
    return Tracer(settings.endpoint)

"""How a node is observed, from its settings: what it tells, who looks at it, and where they listen."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing

from adapters.home import Home
from adapters.observing.gauges import Gauges
from adapters.observing.health import Health
from adapters.observing.listener import listening
from adapters.observing.looking import Looking
from adapters.observing.measures import Measures
from adapters.observing.telling import tellers
from adapters.observing.watch import Watch, watching
from adapters.stores.database import Database
from gateway.families import Families
from gateway.observing import Observer, Observers
from gateway.policy import Policy
from gateway.ports import Clock
from gateway.settings import Settings
from gateway.sight import Link


class Observing:
    """`observer` is what the node tells."""

    def __init__(self, home: Home, settings: Settings, clock: Clock) -> None:
        self._home = home
        self._settings = settings
        self._clock = clock
        self._measures = Measures()
        observers: list[Observer] = [self._measures]
        self.observer = Observers(observers)

    @asynccontextmanager
    async def at_work(
        self,
        database: Database,
        policy: Policy,
        families: Families,
        ailing: Callable[[], str],
        link: Callable[[], Link | None],
    ) -> AsyncIterator[tuple[str, int] | None]:
        """Watches while the context is open; gives the address of the listener, where there is one."""
        home, settings, clock = self._home, self._settings, self._clock
        gauges = Gauges(self._measures)
        async with AsyncExitStack() as stack:
            looking = stack.enter_context(closing(Looking(home, settings, clock, link)))
            ways = tellers(settings.alarms, home.path)
            watch = Watch(
                *(database, looking, gauges, settings.alarms),
                *(policy.monitoring, families, ways, clock),
            )
            await stack.enter_async_context(watching(watch))
            if settings.metrics is None:
                yield None
            else:
                health = Health(database, looking, self._measures, ailing, clock)
                pages = listening(settings.metrics, self._measures, gauges, looking, health)
                yield await stack.enter_async_context(pages)

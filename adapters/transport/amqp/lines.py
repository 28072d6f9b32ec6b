"""Several connections to one broker, so that a large message on a slow line delays no other."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Final, Self

from adapters.transport.amqp.connection import BrokerConnection

_OPEN_WITHIN: Final = 5.0  # seconds for one more connection; its user learns from it why there is none


class ConnectionPool:
    """Connections, each used by one sender at a time. No more are opened than were needed at once; they stay
    open while the context is open."""

    def __init__(self, connections: Sequence[BrokerConnection]) -> None:
        self._first, *self._unopened = connections
        self._all = connections
        self._idle = asyncio.LifoQueue[BrokerConnection]()
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._open.enter_async_context(self._first)
        self._idle.put_nowait(self._first)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def until_connected(self) -> None:
        await self._first.until_connected()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[BrokerConnection]:
        """Waits for a connection if all are in use."""
        new = self._unopened.pop() if self._idle.empty() and self._unopened else None
        line = new or await self._idle.get()
        try:
            if new is not None:
                await self._opened(new)
            yield line
        finally:
            self._idle.put_nowait(line)

    async def _opened(self, line: BrokerConnection) -> None:
        line.log_in_as(self._first)
        await self._open.enter_async_context(line)
        if self._first.connected:  # otherwise waiting would be useless
            try:
                await asyncio.wait_for(line.until_connected(), _OPEN_WITHIN)
            except TimeoutError:
                return

    def renewal(self) -> Callable[[], None]:
        """See `named_files.Renewal`."""
        takes = [each.renewal() for each in self._all]

        def take() -> None:
            for each in takes:
                each()

        return take

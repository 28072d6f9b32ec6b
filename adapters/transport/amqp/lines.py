"""Several connections to one broker, so that a large message on a slow line delays no other."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Final, Self

from adapters.transport.amqp.connection import BrokerConnection

_OPEN_WITHIN: Final = 5.0  # seconds for one more connection; its user learns from it why there is none
_LIGHT: Final = 64 * 1024  # bytes under way on a connection beside which a small message does not wait long


class ConnectionPool:
    """Connections, each shared by several senders. One more is opened where every open one is busy with large
    messages; they stay open while the context is open."""

    def __init__(self, connections: Sequence[BrokerConnection]) -> None:
        self._first, *self._unopened = connections
        self._all = connections
        self._bytes = Counter[BrokerConnection]({self._first: 0})  # under way, by open connection
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._open.enter_async_context(self._first)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def until_connected(self) -> None:
        await self._first.until_connected()

    @asynccontextmanager
    async def one(self, size: int) -> AsyncIterator[BrokerConnection]:
        """The connection with the fewest bytes under way, for a message of this size; one that is lost, or
        not made yet, only where there is no other."""
        line = min(self._bytes, key=lambda each: (not each.connected, self._bytes[each]))
        new = bool(self._bytes[line] > _LIGHT and self._unopened)
        if new:
            line = self._unopened.pop()
        self._bytes[line] += size
        try:
            if new:
                await self._opened(line)
            yield line
        finally:
            self._bytes[line] -= size

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

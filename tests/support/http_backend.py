"""The reference customs over HTTP, as it is for the gateway: both ends in a loop of their own."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import IO, Any, TypeVar

from adapters.backends.http import opened_client
from adapters.backends.http_answers import PolledBackend
from adapters.sandbox.customs.serving_http import serving
from adapters.sandbox.simulated_backend import SimulatedBackend
from gateway.config.connections import DxpSettings, HttpBackendSettings
from gateway.deliver.ports import Backend
from gateway.model.answer import Answer
from gateway.model.delivery import Outcome
from gateway.model.message import Submission

_T = TypeVar("_T")


class OwnLoop:
    """Runs what belongs together in one event loop, whichever the caller's is."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def within(self, work: Coroutine[Any, Any, _T]) -> _T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class OverHttp:
    """`backend`, polled; with `dxp` both ends speak it."""

    def __init__(self, folder: Path, backend: SimulatedBackend, dxp: DxpSettings | None = None) -> None:
        self._backend = backend
        self._own = OwnLoop()
        self._open = AsyncExitStack()
        self._gateway: Backend = self._own.run(self._opened(folder, dxp))

    async def _opened(self, folder: Path, dxp: DxpSettings | None) -> Backend:
        at = await self._open.enter_async_context(serving(self._backend, folder, "127.0.0.1", 0, None, dxp))
        settings = HttpBackendSettings(kind="http", url=f"http://127.0.0.1:{at[1]}/", dxp=dxp)
        client = await self._open.enter_async_context(opened_client(settings, folder))
        return PolledBackend(client, settings, folder)

    async def submit(self, submission: Submission, opened: Callable[[str], IO[bytes]]) -> tuple[Outcome, str]:
        return await self._own.within(self._gateway.submit(submission, opened))

    async def ask(self, key: str) -> tuple[Outcome | None, str]:
        return await self._own.within(self._gateway.ask(key))

    async def answers(self, limit: int) -> Sequence[Answer]:
        return await self._own.within(self._gateway.answers(limit))

    async def acknowledge(self, ids: Sequence[str]) -> None:
        await self._own.within(self._gateway.acknowledge(ids))

    def close(self) -> None:
        """May be called twice."""
        if self._own.alive:
            self._own.run(self._open.aclose())
            self._own.close()
            self._backend.close()

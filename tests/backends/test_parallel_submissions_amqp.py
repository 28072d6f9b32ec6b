"""A large package on its way to a broker holds nobody up, and has the time that its line needs."""

import asyncio
import io
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from adapters.backends.amqp import AmqpBackend
from adapters.transport.amqp import connection
from gateway.model.delivery import Outcome
from tests.support.amqp_backend import WITHIN, backend_settings
from tests.support.rabbitmq import Rabbit
from tests.support.submissions import PackagedSubmission, sent

CHUNK: Final = 64 * 1024
LARGE: Final = 4 * 1024 * 1024
AT_ONCE: Final = 3

# Waits, if it wants to, before what a connection sends goes on; it is told how much has gone of that one.
Pace = Callable[[int], Awaitable[object]]


@asynccontextmanager
async def line_to(rabbit: Rabbit, pace: Pace) -> AsyncIterator[int]:
    """The port of a line to the broker over which what the gateway sends goes as it is let."""

    async def passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, paced: bool) -> None:
        sent_bytes = 0
        try:
            while data := await reader.read(CHUNK):
                sent_bytes += len(data)
                if paced:
                    await pace(sent_bytes)
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass  # either side has gone
        finally:
            writer.close()

    async def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_broker, to_broker = await asyncio.open_connection(rabbit.host, rabbit.port)
        await asyncio.gather(passed(reader, to_broker, True), passed(from_broker, writer, False))

    server = await asyncio.start_server(joined, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


@asynccontextmanager
async def customs(rabbit: Rabbit, home: Path, pace: Pace) -> AsyncIterator[AmqpBackend]:
    settings = backend_settings(rabbit, home, rabbit.vhost(), at_once=AT_ONCE)
    async with asyncio.timeout(WITHIN), line_to(rabbit, pace) as port:
        slow = settings.model_copy(update={"port": port})
        async with AmqpBackend(slow, home, "customs") as backend:
            await backend.until_connected()
            yield backend


def large() -> PackagedSubmission:
    return sent(parts={"报关单.xml": random.Random(1).randbytes(LARGE)}, bare=True)  # noqa: S311  no secret


async def submit(backend: AmqpBackend, one: PackagedSubmission) -> tuple[Outcome, str]:
    return await backend.submit(one.submission, lambda _sha256: io.BytesIO(one.package))


def test_small_submissions_are_delivered_while_large_ones_are_in_progress(
    rabbit: Rabbit, tmp_path: Path
) -> None:
    async def test() -> None:
        events = [asyncio.Event() for _ in range(AT_ONCE - 1)]
        waiting, goes_on = iter(events), asyncio.Event()

        async def pace(gone: int) -> None:
            if gone > LARGE // 2 and not goes_on.is_set():
                next(waiting).set()
                await goes_on.wait()

        async with customs(rabbit, tmp_path, pace) as backend:
            under_way = []
            for task in events:
                under_way.append(asyncio.create_task(submit(backend, large())))
                await task.wait()
            for _ in range(3):
                assert await submit(backend, sent()) == (Outcome.TAKEN, "")
            assert not any(task.done() for task in under_way)
            goes_on.set()
            assert await asyncio.gather(*under_way) == [(Outcome.TAKEN, "")] * len(under_way)

    asyncio.run(test())


def test_a_large_one_has_the_time_that_a_slow_line_needs(
    rabbit: Rabbit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CONFIRM_WITHIN", 0.5)

    async def pace(gone: int) -> None:
        if gone > CHUNK:
            await asyncio.sleep(0.03)  # 2 MB/s: two seconds

    async def test() -> None:
        async with customs(rabbit, tmp_path, pace) as backend:
            assert await submit(backend, large()) == (Outcome.TAKEN, "")

    asyncio.run(test())

"""The channel whose broker hangs or loses the queue: it is back by itself, and nothing is lost."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aio_pika
from aio_pika.exceptions import AMQPError

from tests.support.amqp import AmqpHome, Platform, founded, run
from tests.support.declarations import owing_nothing
from tests.support.invariants import violations
from tests.support.rabbitmq import Rabbit
from tests.support.rendering import render


@asynccontextmanager
async def wire(to: int) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A port before the broker's; while the event is set it forwards nothing, and closes nothing."""
    cut = asyncio.Event()
    open_ends: set[asyncio.StreamWriter] = set()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ends.add(writer)
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                while cut.is_set():
                    await asyncio.sleep(0.05)
                writer.write(data)
                await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", to)
        await asyncio.gather(forward(reader, back), forward(there, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], cut
    finally:
        cut.clear()
        server.close()
        for writer in open_ends:
            writer.close()


async def confirmed(platform: Platform, message_id: str) -> bool:
    body = render(owing_nothing(message_id))
    try:
        async with asyncio.timeout(10):
            await platform.send(body, message_id)
    except (AMQPError, OSError, TimeoutError, RuntimeError):
        return False
    return True


def test_a_queue_that_was_deleted_is_consumed_again(amqp: AmqpHome) -> None:
    async def test() -> None:
        url = amqp.rabbit.url(amqp.vhost, "gateway")
        async with await aio_pika.connect(url) as connection:
            await (await connection.channel()).queue_delete("gateway.in")
        async with await Platform.connect(amqp.rabbit, amqp.vhost) as platform:
            while not await confirmed(platform, "DELETED0001"):
                await asyncio.sleep(0.1)
            await platform.final("DELETED0001")

    run(test)


def test_a_network_that_forwards_nothing_is_noticed_and_messages_sent_meanwhile_are_taken(
    rabbit: Rabbit, tmp_path: Path
) -> None:
    async def test() -> None:
        async with wire(rabbit.port) as (port, cut):
            place = await asyncio.to_thread(founded, tmp_path, rabbit, port)
            with place.gateway:
                await asyncio.to_thread(place.until_connected)
                async with await Platform.connect(rabbit, place.vhost) as platform:
                    cut.set()
                    log = place.gateway.log
                    await asyncio.to_thread(place.gateway.until, lambda: "broker lost" in log.read_text())
                    await platform.send(render(owing_nothing("CUT0001")), "CUT0001")
                    cut.clear()
                    await platform.final("CUT0001")
                assert await asyncio.to_thread(place.gateway.stop) == 0
                assert not violations(place.gateway.home)

    run(test, 100)

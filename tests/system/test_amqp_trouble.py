"""The channel of a served node at a broker that is short of memory, gives again, or has another queue."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aio_pika
from sqlalchemy import select

from adapters.store.tables.messages import messages
from tests.support.amqp import AmqpHome, Platform, founded, run
from tests.support.declarations import owing_nothing
from tests.support.invariants import unfinished, violations
from tests.support.rabbitmq import Rabbit
from tests.support.rendering import render


def stored(place: AmqpHome) -> list[str]:
    with place.gateway.reading() as store:
        return list(store.execute(select(messages.c.name).where(messages.c.channel == "amqp")).scalars())


def why_lost(place: AmqpHome) -> list[str]:
    """Why the consuming connection was lost, each time."""
    logged = [json.loads(line) for line in place.gateway.log.read_text("utf-8").splitlines()]
    return [
        entry["why"]
        for entry in logged
        if entry["event"] == "broker lost" and entry["connection"] == "gateway incoming"
    ]


@asynccontextmanager
async def one_way(to: int) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A port before the broker's. While the event is set nothing more reaches the broker, and what it says
    still comes back; then a connection can only be closed."""
    mute = asyncio.Event()
    ends: set[asyncio.StreamWriter] = set()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, outward: bool) -> None:
        ends.add(writer)
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if not (outward and mute.is_set()):
                    writer.write(data)
                    await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", to)
        await asyncio.gather(forward(reader, back, True), forward(there, writer, False))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], mute
    finally:
        server.close()
        for writer in ends:
            writer.close()


def test_a_message_that_was_stored_and_not_acknowledged_comes_again_and_is_no_second_message(
    rabbit: Rabbit, tmp_path: Path
) -> None:
    async def test() -> None:
        async with one_way(rabbit.port) as (port, mute):
            place = await asyncio.to_thread(founded, tmp_path, rabbit, port)
            with place.gateway:
                await asyncio.to_thread(place.until_connected)
                async with await Platform.connect(rabbit, place.vhost) as platform:
                    mute.set()
                    await platform.send(render(owing_nothing("AGAIN0001")), "again-1")
                    await asyncio.to_thread(place.gateway.until, lambda: stored(place))
                    await asyncio.to_thread(place.gateway.until, lambda: why_lost(place))
                    mute.clear()
                    await platform.final("again-1")
                    while await asyncio.to_thread(rabbit.depth, place.vhost, "gateway.in"):
                        pass
                await asyncio.to_thread(place.gateway.until, lambda: not unfinished(place.gateway.home))
                assert stored(place) == ["again-1.xml"]
                assert not violations(place.gateway.home)

    run(test, 100)


def test_a_queue_with_other_arguments_is_reported_and_left_alone_until_it_is_gone(
    rabbit: Rabbit, tmp_path: Path
) -> None:
    place = founded(tmp_path, rabbit)

    async def test() -> None:
        async with await aio_pika.connect(rabbit.url(place.vhost, "gateway")) as connection:
            channel = await connection.channel()
            await channel.declare_queue("gateway.in", durable=True)  # of the classic type
            with place.gateway:
                await asyncio.to_thread(place.gateway.until, lambda: len(why_lost(place)) >= 3)
                reason = why_lost(place)
                assert all("PRECONDITION_FAILED" in why and "'gateway.in'" in why for why in reason)
                assert all("inequivalent arg" in why for why in reason)
                # The pauses between its attempts double: this many take more than a second.
                assert len(reason) < 10
                await channel.queue_delete("gateway.in")
                await asyncio.to_thread(place.until_connected)

    run(test, 100)


def test_a_broker_that_has_memory_again_is_used_as_before(mortal_rabbit: Rabbit, tmp_path: Path) -> None:
    place, rabbit = founded(tmp_path, mortal_rabbit), mortal_rabbit
    usual = rabbit.ctl("eval", "vm_memory_monitor:get_vm_memory_high_watermark().").strip()

    async def test() -> None:
        async with await Platform.connect(rabbit, place.vhost) as platform:
            await platform.send(render(owing_nothing("MEMORY0001")), "memory-1")
            await asyncio.to_thread(rabbit.ctl, "set_vm_memory_high_watermark", "absolute", "1")
            try:
                # Whatever of this the alarm met on its way, to us or to the platform, waits.
                sending = asyncio.create_task(platform.send(render(owing_nothing("MEMORY0002")), "memory-2"))
                done, _ = await asyncio.wait([sending], timeout=1)
                assert not done
                await asyncio.to_thread(place.gateway.until, lambda: stored(place) == ["memory-1.xml"])
            finally:
                await asyncio.to_thread(rabbit.ctl, "set_vm_memory_high_watermark", usual)
            await sending
            received: set[str | None] = set()
            while received < {"memory-1", "memory-2"}:
                message = await platform.hear()
                if message.headers.get("final"):
                    received.add(message.correlation_id)

    with place.gateway:
        place.until_connected()
        run(test, 100)
        place.gateway.until(lambda: not unfinished(place.gateway.home))
        assert not violations(place.gateway.home)

"""Which connection to a broker a message goes out on."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from adapters.transport.amqp.connection import BrokerConnection
from adapters.transport.amqp.lines import ConnectionPool
from gateway.config.connections import AmqpBackendSettings
from tests.support.rabbitmq import Rabbit

LARGE = 1024 * 1024


def pool(folder: Path, connections: int) -> ConnectionPool:
    """Connections to a port where nobody listens: what they are chosen by does not depend on the broker."""
    (folder / "password").write_text("secret")
    settings = AmqpBackendSettings(kind="amqp", user="gateway", password_file="password", port=9)  # noqa: S106

    async def nothing(_channel: object) -> tuple[()]:
        return ()

    return ConnectionPool(
        [BrokerConnection(settings, folder, f"line {number}", nothing) for number in range(connections)]
    )


def test_small_messages_share_one_connection(tmp_path: Path) -> None:
    async def run() -> set[str]:
        async with pool(tmp_path, 3) as lines, AsyncExitStack() as under_way:
            return {(await under_way.enter_async_context(lines.one(1000))).name for _ in range(20)}

    assert len(asyncio.run(run())) == 1


def test_a_small_message_avoids_the_connections_of_large_ones(tmp_path: Path) -> None:
    async def run() -> tuple[set[str], set[str]]:
        async with pool(tmp_path, 3) as lines, AsyncExitStack() as under_way:
            large = {(await under_way.enter_async_context(lines.one(LARGE))).name for _ in range(2)}
            small = {(await under_way.enter_async_context(lines.one(1000))).name for _ in range(20)}
            return large, small

    large, small = asyncio.run(run())
    assert (len(large), len(small), large & small) == (2, 1, set())


def test_where_all_connections_are_busy_the_one_with_the_least_on_its_way_is_taken(tmp_path: Path) -> None:
    async def run() -> str:
        async with pool(tmp_path, 2) as lines, AsyncExitStack() as under_way:
            await under_way.enter_async_context(lines.one(2 * LARGE))
            lighter = await under_way.enter_async_context(lines.one(LARGE))
            async with lines.one(1000) as chosen:
                return "" if chosen is lighter else chosen.name

    assert asyncio.run(run()) == ""


def test_a_message_goes_out_on_a_connection_that_is_there(rabbit: Rabbit, tmp_path: Path) -> None:
    settings = rabbit.settings(tmp_path, rabbit.vhost())
    lost = settings.model_copy(update={"port": 9})

    async def nothing(_channel: object) -> tuple[()]:
        return ()

    async def run() -> str:
        first = BrokerConnection(settings, tmp_path, "first", nothing)
        lines = ConnectionPool([first, BrokerConnection(lost, tmp_path, "never", nothing)])
        async with lines, lines.one(2 * LARGE), AsyncExitStack() as under_way:
            opening = asyncio.create_task(under_way.enter_async_context(lines.one(LARGE)))
            await lines.until_connected()
            async with lines.one(1000) as chosen:
                opening.cancel()
                return chosen.name

    assert asyncio.run(run()) == "first"

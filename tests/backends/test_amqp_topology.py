"""What was deleted at a real broker while the node is connected is made again."""

import asyncio
from pathlib import Path

import aio_pika
import pytest

from adapters.channels.amqp.topology import DEAD, IN, RECEIPTS, keeping
from adapters.transport.amqp.connection import BrokerConnection
from adapters.transport.amqp.publishing import PublishResult
from tests.support.amqp import run
from tests.support.rabbitmq import Rabbit

PATIENCE = 300.0


@pytest.mark.parametrize("gone", ["exchanges", "bindings", "queues"])
def test_queues_and_bindings_deleted_at_the_broker_are_declared_again_while_connected(
    gone: str, rabbit: Rabbit, tmp_path: Path
) -> None:
    vhost = rabbit.vhost()
    settings = rabbit.settings(tmp_path, vhost)

    async def test() -> None:
        made = keeping(settings.delivery_limit)
        async with (
            BrokerConnection(settings, tmp_path, "test", made, again=True) as node,
            await aio_pika.connect(rabbit.url(vhost, "admin")) as connection,
        ):
            await node.until_connected()
            channel = await connection.channel()
            for name in (IN, DEAD):
                if gone == "exchanges":
                    await channel.exchange_delete(name)
                elif gone == "bindings":
                    queue = await channel.get_queue(name, ensure=False)
                    await queue.unbind(name, "#" if name == IN else "")
                else:
                    await channel.queue_delete(name)
            if gone == "exchanges":
                await channel.exchange_delete(RECEIPTS)
            for name in (IN, DEAD):
                message = aio_pika.Message(b"", message_id=name)
                while await _routed(connection, name, message) is not PublishResult.CONFIRMED:
                    await asyncio.sleep(0.05)
            await (await connection.channel()).get_exchange(RECEIPTS, ensure=True)
            assert node.connected

    run(test, PATIENCE)


async def _routed(
    connection: aio_pika.abc.AbstractConnection, exchange: str, message: aio_pika.Message
) -> PublishResult:
    channel = await connection.channel(on_return_raises=True)
    try:
        to = await channel.get_exchange(exchange, ensure=False)
        await to.publish(message, "declarations", mandatory=True)
    except aio_pika.exceptions.PublishError:
        return PublishResult.RETURNED
    except aio_pika.exceptions.ChannelClosed:
        return PublishResult.REFUSED
    else:
        return PublishResult.CONFIRMED
    finally:
        await channel.close()


def test_a_connection_ends_where_what_is_gone_may_not_be_made_again(rabbit: Rabbit, tmp_path: Path) -> None:
    """Not connected is not ready, and an alarm after `alarms.amqp_minutes`."""
    vhost = rabbit.vhost()
    rabbit.allow(vhost, "keeper", ".*", ".*", ".*")
    settings = rabbit.settings(tmp_path, vhost, "keeper")

    async def test() -> None:
        made = keeping(settings.delivery_limit)
        async with BrokerConnection(settings, tmp_path, "test", made, again=True) as node:
            await node.until_connected()
            await asyncio.to_thread(rabbit.allow, vhost, "keeper", "^$", ".*", ".*")
            # A channel that is used every two seconds goes by the permissions that it began with.
            await asyncio.to_thread(rabbit.ctl, "close_all_connections", "--vhost", vhost, "tests")
            async with await aio_pika.connect(rabbit.url(vhost, "admin")) as connection:
                channel = await connection.channel()
                while "ACCESS_REFUSED" not in node.why_not:
                    await channel.exchange_delete(RECEIPTS)
                    await asyncio.sleep(0.05)
            assert not node.connected

    run(test, PATIENCE)

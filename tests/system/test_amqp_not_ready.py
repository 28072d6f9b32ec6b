"""What is gone at the broker and may not be made again: the node is not ready, and an alarm tells it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel

from tests.support.amqp import LARGEST, connected
from tests.support.rabbitmq import ADMIN, Rabbit
from tests.system.test_metrics_served import ObservedGateway

NODE = "node"


async def without_exchange(channel: AbstractChannel) -> None:
    await channel.exchange_delete("gateway.receipts")


async def without_binding(channel: AbstractChannel) -> None:
    queue = await channel.get_queue("gateway.in", ensure=False)
    await queue.unbind("gateway.in", "#")


@dataclass(frozen=True)
class BrokerDamage:
    """What somebody takes away at the broker, and what the gateway may configure and write there then."""

    take: Callable[[AbstractChannel], Awaitable[None]]
    configure: str = ".*"
    write: str = ".*"


WAYS = {
    "an exchange that may not be declared": BrokerDamage(without_exchange, configure="^$"),
    "a binding that may not be made": BrokerDamage(without_binding, write="^gateway[.](dead|receipts)$"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_queue_that_may_not_be_declared_makes_the_node_not_ready_and_raises_an_alarm(
    rabbit: Rabbit, tmp_path: Path, way: str
) -> None:
    vhost, gone = rabbit.vhost(), WAYS[way]
    rabbit.allow(vhost, NODE, ".*", ".*", ".*")
    gateway = ObservedGateway(tmp_path)
    connected(gateway, rabbit.settings(gateway.home.path, vhost, NODE, largest=LARGEST))
    gateway.observe("[alarms]", "seconds = 0.1", "amqp_minutes = 0", "quiet_minutes = 0")

    async def take() -> None:
        async with await aio_pika.connect(rabbit.url(vhost, ADMIN)) as connection:
            await gone.take(await connection.channel())

    def forget_permissions() -> None:
        # A channel that is used every two seconds goes by the permissions that it began with.
        rabbit.ctl("close_all_connections", "--vhost", vhost, "tests")

    def refused() -> bool:
        asyncio.run(take())
        status, why = gateway.health("/readyz")
        return status == 503 and "amqp" in why

    def open_alarms() -> set[str]:
        with gateway.reading() as reader:
            return set(reader.exec_driver_sql("SELECT key FROM alarms WHERE cleared_at IS NULL").scalars())

    with gateway:
        gateway.until(lambda: gateway.health("/readyz") == (200, {}))
        rabbit.allow(vhost, NODE, gone.configure, gone.write, ".*")
        forget_permissions()
        gateway.until(refused)
        gateway.until(lambda: "amqp" in open_alarms())
        rabbit.allow(vhost, NODE, ".*", ".*", ".*")
        gateway.until(lambda: gateway.health("/readyz") == (200, {}))
        gateway.until(lambda: "amqp" not in open_alarms())

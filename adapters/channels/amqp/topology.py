"""The exchanges and queues of the channel on the broker; missing ones are created."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

import structlog
from aio_pika.abc import AbstractChannel, AbstractQueue
from aio_pika.exceptions import ChannelNotFoundEntity

from adapters.transport.amqp.queues import limited, stood

IN: Final = "gateway.in"  # topic exchange that senders publish to, and the queue behind it
DEAD: Final = "gateway.dead"  # for refused messages and those delivered too often: exchange and queue
RECEIPTS: Final = "gateway.receipts"  # direct exchange, the routing key is the account

log = structlog.get_logger()


def keeping(delivery_limit: int) -> Callable[[AbstractChannel], Awaitable[Sequence[str]]]:
    """A `SetUp` that may be repeated: a deleted exchange or binding is created again. The broker reports a
    missing exchange; it never reports a missing binding over AMQP."""

    async def kept(channel: AbstractChannel) -> Sequence[str]:
        async for name in _missing(channel):
            log.warning("exchange not there, made", exchange=name)
        await stand(channel, delivery_limit)
        return ()

    return kept


async def _missing(channel: AbstractChannel) -> AsyncIterator[str]:
    connection = (await channel.get_underlay_channel()).connection
    asking = await connection.channel()
    for name in (DEAD, RECEIPTS, IN):
        try:
            await asking.exchange_declare(name, passive=True)
        except ChannelNotFoundEntity:  # and the channel is closed
            yield name
            asking = await connection.channel()
    await asking.close()


async def stand(channel: AbstractChannel, delivery_limit: int) -> AbstractQueue:
    """Creates what is missing and returns the queue to consume from.

    Raises `ChannelPreconditionFailed`, which names queue and argument, if one with that name already exists
    with other arguments; nothing is changed then.
    """
    dead = await channel.declare_exchange(DEAD, "fanout", durable=True)
    dead_queue = await stood(channel, DEAD)
    await dead_queue.bind(dead)
    await channel.declare_exchange(RECEIPTS, "direct", durable=True)
    incoming = await channel.declare_exchange(IN, "topic", durable=True)
    queue = await channel.declare_queue(
        IN,
        durable=True,
        arguments=limited(delivery_limit) | {"x-dead-letter-exchange": DEAD},
    )
    await queue.bind(incoming, "#")
    return queue

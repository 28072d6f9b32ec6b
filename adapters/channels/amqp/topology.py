"""What stands on the broker: exchanges and queues of the channel. They are made where they are not."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

import structlog
from aio_pika.abc import AbstractChannel, AbstractQueue
from aio_pika.exceptions import ChannelNotFoundEntity

from adapters.transport.amqp.queues import limited, stood

IN: Final = "gateway.in"  # topic exchange that senders publish to, and the queue behind it
DEAD: Final = "gateway.dead"  # what was refused, or came too often: exchange and queue
RECEIPTS: Final = "gateway.receipts"  # direct exchange, the routing key is the account

log = structlog.get_logger()


def keeping(delivery_limit: int) -> Callable[[AbstractChannel], Awaitable[Sequence[str]]]:
    """A `SetUp` that may be repeated: what is gone, an exchange or a binding, is made again. An exchange is
    told of; that a binding is gone, the broker says to nobody over AMQP."""

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
    """Makes what is missing and returns the queue that is consumed from.

    Raises `ChannelPreconditionFailed`, which names queue and argument, where something of that name is there
    already and is otherwise; nothing is changed then.
    """
    dead = await channel.declare_exchange(DEAD, "fanout", durable=True)
    kept = await stood(channel, DEAD)
    await kept.bind(dead)
    await channel.declare_exchange(RECEIPTS, "direct", durable=True)
    taken = await channel.declare_exchange(IN, "topic", durable=True)
    queue = await channel.declare_queue(
        IN,
        durable=True,
        arguments=limited(delivery_limit) | {"x-dead-letter-exchange": DEAD},
    )
    await queue.bind(taken, "#")
    return queue

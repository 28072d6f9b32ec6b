"""What stands on the broker: exchanges and queues of the channel. They are made where they are not."""

from typing import Final

from aio_pika.abc import AbstractChannel, AbstractQueue

IN: Final = "gateway.in"  # topic exchange that senders publish to, and the queue behind it
DEAD: Final = "gateway.dead"  # what was refused, or came too often: exchange and queue
RECEIPTS: Final = "gateway.receipts"  # direct exchange, the routing key is the account


async def stand(channel: AbstractChannel, delivery_limit: int) -> AbstractQueue:
    """Makes what is missing and returns the queue that is consumed from.

    Raises `ChannelPreconditionFailed`, which names queue and argument, where something of that name is there
    already and is otherwise; nothing is changed then.
    """
    dead = await channel.declare_exchange(DEAD, "fanout", durable=True)
    kept = await channel.declare_queue(DEAD, durable=True, arguments={"x-queue-type": "quorum"})
    await kept.bind(dead)
    await channel.declare_exchange(RECEIPTS, "direct", durable=True)
    taken = await channel.declare_exchange(IN, "topic", durable=True)
    queue = await channel.declare_queue(
        IN,
        durable=True,
        arguments={
            "x-queue-type": "quorum",
            "x-delivery-limit": delivery_limit,
            "x-dead-letter-exchange": DEAD,
        },
    )
    await queue.bind(taken, "#")
    return queue

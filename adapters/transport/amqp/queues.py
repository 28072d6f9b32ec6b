"""The queues that we make on a broker: durable, on several of its nodes, and nothing is dropped from them."""

from aio_pika.abc import AbstractChannel, AbstractQueue
from aio_pika.exceptions import ChannelNotFoundEntity
from pamqp.common import FieldTable


async def stood(channel: AbstractChannel, name: str) -> AbstractQueue:
    """The queue of this name: as it is where there is one, so that whoever owns it may give it what arguments
    he likes; else made, with no limit of length nor of how often a message may come back."""
    # A channel of its own, since the broker closes the one on which a queue is not found.
    connection = (await channel.get_underlay_channel()).connection
    asking = await connection.channel()
    try:
        await asking.queue_declare(name, passive=True)
    except ChannelNotFoundEntity:
        arguments = unlimited(connection.server_properties.get("version"))
        return await channel.declare_queue(name, durable=True, arguments=arguments)
    await asking.close()
    return await channel.get_queue(name, ensure=False)


def limited(times: int) -> FieldTable:
    """Arguments of a queue from which the broker takes a message that came back so often."""
    return {"x-queue-type": "quorum", "x-delivery-limit": times}


def unlimited(version: object) -> FieldTable:
    """Arguments of a queue from which nothing is taken, however often it comes back: with each connection
    that is lost, and each look. RabbitMQ 4 drops what came back twenty times unless the queue says -1 (its
    guide, "Quorum Queues: Poison Message Handling"); RabbitMQ 3 has no limit unless told, and refuses -1."""
    major = str(version).partition(".")[0]
    if major.isdecimal() and int(major) < 4:
        return {"x-queue-type": "quorum"}
    return limited(-1)

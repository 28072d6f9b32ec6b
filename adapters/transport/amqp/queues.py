"""The queues that we create on a broker: durable, replicated on several of its nodes, without dropping
messages."""

from aio_pika.abc import AbstractChannel, AbstractQueue
from aio_pika.exceptions import ChannelNotFoundEntity
from pamqp.common import FieldTable


async def stood(channel: AbstractChannel, name: str) -> AbstractQueue:
    """The queue with this name: an existing one is left as it is, so that its owner may choose the arguments;
    otherwise it is created, without limits of length or of returned messages."""
    # On a separate channel, since the broker closes the one on which a queue is not found.
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
    """Arguments of a queue from which the broker removes a message after this many returns."""
    return {"x-queue-type": "quorum", "x-delivery-limit": times}


def unlimited(version: object) -> FieldTable:
    """Arguments of a queue from which nothing is removed, however often it is returned: after each lost
    connection, and each view. RabbitMQ 4 drops messages returned twenty times unless the queue says -1 (its
    guide, "Quorum Queues: Poison Message Handling"); RabbitMQ 3 has no limit by default, and refuses -1."""
    major = str(version).partition(".")[0]
    if major.isdecimal() and int(major) < 4:
        return {"x-queue-type": "quorum"}
    return limited(-1)

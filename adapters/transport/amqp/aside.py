"""A queue of messages that were put aside: viewing them, and settling one of them.

Viewing takes each message from the broker and returns it when the connection ends: it is then at its old
place, in order, even if the command was killed. The number of views has no effect before RabbitMQ 4, which
drops a message that was returned twenty times unless the queue says otherwise: see `queues`.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from adapters.transport.amqp.login import tls_of
from gateway.config.connections import BrokerSettings

WITHIN: Final = 10.0  # seconds for the broker's answer
MOST: Final = 10_000  # messages in one view


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterQueue:
    """A queue of messages put aside, who views it, and the exchange and key by which a message returns to its
    old queue."""

    broker: BrokerSettings
    home: Path
    user: str
    password: Path
    queue: str
    exchange: str
    key: str


@dataclass(frozen=True, slots=True)
class DeadLetterView:
    """`facts` describe all messages in the queue, oldest first; `those` are the requested messages, each
    content once."""

    channel: AbstractChannel
    facts: list[dict[str, Any]]
    those: list[AbstractIncomingMessage]


@asynccontextmanager
async def browse(aside: DeadLetterQueue, message_id: str | None = None) -> AsyncIterator[DeadLetterView]:
    """Raises the broker's and the network's exceptions. Messages not acknowledged inside the context are
    returned."""
    connection = await aio_pika.connect(
        host=aside.broker.host,
        port=aside.broker.port,
        login=aside.user,
        password=aside.password.read_text("utf-8").rstrip("\r\n"),
        virtualhost=aside.broker.vhost,
        ssl=aside.broker.ca is not None,
        ssl_context=tls_of(aside.broker, aside.home),
        timeout=WITHIN,
    )
    async with connection:
        channel = await connection.channel(on_return_raises=True)
        queue = await channel.declare_queue(aside.queue, passive=True)
        there = min(queue.declaration_result.message_count or 0, MOST)
        shown: list[dict[str, Any]] = []
        those: dict[str, AbstractIncomingMessage] = {}
        came = asyncio.Event()

        async def take(message: AbstractIncomingMessage) -> None:
            facts = facts_of(message)  # without its bytes: there may be many messages
            shown.append(facts)
            if message_id is not None and message_id in (facts["id"], facts["message_id"]):
                those.setdefault(facts["id"], message)
            came.set()

        # With one consumer: messages fetched by several gets would be returned in no particular order.
        if there:
            await channel.set_qos(prefetch_count=there)
            consumer = await queue.consume(take)
            with suppress(TimeoutError):  # another view may have taken what was counted
                while len(shown) < there:
                    came.clear()
                    await asyncio.wait_for(came.wait(), WITHIN)
            await queue.cancel(consumer)
        yield DeadLetterView(channel, shown, list(those.values()))


async def put_back(
    queue: DeadLetterQueue, view: DeadLetterView, written: Callable[[], Awaitable[None]]
) -> None:
    """Returns the requested message in its sender's name; it leaves the queue once the broker has confirmed
    it and `written` has recorded it. If this is interrupted in between, it stays in the queue as well:
    returned twice, it is recognised by the channel."""
    (one,) = view.those
    user = facts_of(one)["user"]
    back = aio_pika.Message(
        one.body,
        headers={name: each for name, each in one.headers.items() if name == "name"},
        content_type=one.content_type,
        content_encoding=one.content_encoding,
        delivery_mode=one.delivery_mode,
        correlation_id=one.correlation_id,
        reply_to=one.reply_to,
        message_id=one.message_id,
        timestamp=one.timestamp,
        type=one.type,
        app_id=one.app_id,
        user_id=user or None,
    )
    exchange = await view.channel.get_exchange(queue.exchange, ensure=False)
    await exchange.publish(back, queue.key, timeout=WITHIN)  # returns when it is confirmed
    await written()
    await one.ack()


def facts_of(message: AbstractIncomingMessage) -> dict[str, Any]:
    """The properties of a message: ours and its sender's."""
    headers: Any = message.headers
    user = str(headers.get("x-user") or message.user_id or "")
    deaths = headers.get("x-death")
    by_broker = [str(each.get("reason")) for each in deaths or () if isinstance(each, dict)]
    reason = headers.get("x-reason") or headers.get("reason")
    digest = hashlib.sha256(f"{message.message_id}\n{user}\n".encode() + message.body)
    return {
        "id": digest.hexdigest()[:12],
        "message_id": message.message_id,
        "user": user,
        "size": len(message.body),
        "reason": str(reason) if reason else f"by the broker: {', '.join(by_broker) or 'unknown'}",
        "name": str(headers.get("name") or ""),
        "sha256": hashlib.sha256(message.body).hexdigest(),
    }

"""A served home with the AMQP channel, and what a platform on the other side of the broker does with it."""

import asyncio
import json
import subprocess
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue

from adapters.channels.amqp.reply_queues import queue_of
from gateway.config.connections import AmqpSettings
from tests.support.rabbitmq import Rabbit, section
from tests.support.served import Gateway

ACCOUNTS: Final = ("broker-aa", "broker-b")  # whose receipts go out over AMQP here
XML: Final = "application/xml"
LARGEST: Final = 1024 * 1024
_PATIENCE: Final = 300.0  # a bound against hanging for ever: the machine may be busy
_CONNECTIONS: Final = ("gateway incoming", "gateway outgoing", "gateway replying")


def run(test: Callable[[], Coroutine[Any, Any, None]], seconds: float = _PATIENCE) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(seconds):
            await test()

    asyncio.run(bounded())


def connected(gateway: Gateway, settings: AmqpSettings, accounts: Sequence[str] = ACCOUNTS) -> None:
    """Puts the channel into a home that is not served yet, and the accounts' receipts on it."""
    path = gateway.home.path / "gateway.toml"
    path.write_text(f"{path.read_text('utf-8')}\n{section(settings)}", "utf-8")
    over_amqp(gateway, accounts)


def over_amqp(gateway: Gateway, accounts: Sequence[str]) -> None:
    """Has these accounts' receipts go out over AMQP."""
    parties = gateway.home.path / "parties.toml"
    text = parties.read_text("utf-8")
    for account in accounts:
        text = text.replace(f'name = "{account}"\n', f'name = "{account}"\ndelivery = "amqp"\n')
    parties.write_text(text, "utf-8")
    done = gateway.cli("parties", "import", str(parties))
    assert done.returncode == 0, done.stderr


@dataclass(slots=True)
class Platform:
    """A sender's software: one connection, its channel, and a queue for its receipts."""

    rabbit: Rabbit
    vhost: str
    account: str

    channel: AbstractChannel
    receipts: AbstractQueue
    _stack: AsyncExitStack

    @classmethod
    async def connect(cls, rabbit: Rabbit, vhost: str, account: str = "broker-aa") -> Self:
        stack = AsyncExitStack()
        connection = await stack.enter_async_context(await aio_pika.connect(rabbit.url(vhost, account)))
        channel = await connection.channel(on_return_raises=True)
        # As the gateway makes it, which binds it as well: an account may not.
        receipts = await channel.declare_queue(
            queue_of(account), durable=True, arguments={"x-queue-type": "quorum"}
        )
        return cls(rabbit, vhost, account, channel, receipts, stack)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def send(self, body: bytes, message_id: str | None, **more: Any) -> None:
        """Returns when the broker has it."""
        properties: dict[str, Any] = {
            "content_type": XML,
            "user_id": self.account,
            "delivery_mode": aio_pika.DeliveryMode.PERSISTENT,
        } | more
        exchange = await self.channel.get_exchange("gateway.in", ensure=False)
        await exchange.publish(aio_pika.Message(body, message_id=message_id, **properties), "declarations")

    async def hear(self, queue: AbstractQueue | None = None) -> AbstractIncomingMessage:
        """The next message of a queue, waited for."""
        return await next_message(queue or self.receipts)

    async def final(self, of: str, queue: AbstractQueue | None = None) -> AbstractIncomingMessage:
        """The final gateway receipt with this correlation id; what comes before it is taken and left."""
        while True:
            message = await self.hear(queue)
            if message.headers.get("final") and message.correlation_id == of:
                return message

    async def refusal(self, of: str) -> AbstractIncomingMessage:
        while True:
            message = await self.hear()
            if message.type == "refused" and message.correlation_id == of:
                return message


async def next_message(queue: AbstractQueue) -> AbstractIncomingMessage:
    while (message := await queue.get(no_ack=True, fail=False)) is None:
        await asyncio.sleep(0.05)
    return message


async def dead(rabbit: Rabbit, vhost: str, of: str | None) -> AbstractIncomingMessage:
    """The next message with this correlation id that was put aside."""
    async with await aio_pika.connect(rabbit.url(vhost, "gateway")) as connection:
        queue = await (await connection.channel()).get_queue("gateway.dead", ensure=False)
        while (message := await next_message(queue)).correlation_id != of:
            pass
        return message


def tool(*arguments: str, body: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """A program of the amqp-tools."""
    return subprocess.run(arguments, input=body, capture_output=True, timeout=30, check=True)


@dataclass(frozen=True, slots=True)
class AmqpHome:
    """A home with the channel, in a virtual host of its own."""

    gateway: Gateway
    rabbit: Rabbit
    vhost: str

    def until_connected(self) -> None:
        """Waits until the node has been at the broker, with all its connections."""
        self.gateway.until(lambda: self._connected() >= set(_CONNECTIONS))

    def _connected(self) -> set[str]:
        logged = [json.loads(line) for line in self.gateway.log.read_text("utf-8").splitlines()]
        return {entry["connection"] for entry in logged if entry["event"] == "broker connected"}


def founded(folder: Path, rabbit: Rabbit, port: int | None = None) -> AmqpHome:
    """Not served yet. `port` is where the broker is found, if not at its own."""
    place = AmqpHome(Gateway(folder), rabbit, rabbit.vhost(*ACCOUNTS))
    connected(
        place.gateway,
        rabbit.settings(place.gateway.home.path, place.vhost, port=port or rabbit.port, largest=LARGEST),
    )
    return place

"""What consuming in groups promises of each message, against a real broker."""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from pamqp.common import FieldTable

from adapters.transport.amqp.channel import BrokerChannel
from adapters.transport.amqp.connection import BrokerConnection
from adapters.transport.amqp.consuming import ReceivedMessage
from adapters.transport.amqp.publishing import Outgoing, PublishResult
from tests.support.rabbitmq import Rabbit
from tests.transport.test_amqp_connection import note, nothing, run, until

QUEUE: FieldTable = {
    "x-queue-type": "quorum",
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": "dead",
}


class Hearing:
    """Consumes from `there`; keeps what comes."""

    def __init__(self, take: Callable[[Sequence[ReceivedMessage]], None] = lambda _: None) -> None:
        self.messages: list[ReceivedMessage] = []
        self.groups: list[int] = []
        self._take = take
        self.channel: BrokerChannel | None = None
        self.tag = ""

    async def begin(self, channel: BrokerChannel) -> Sequence[str]:
        await channel.declare_queue("dead", durable=True)
        await channel.declare_queue("there", durable=True, arguments=QUEUE)
        await channel.set_qos(prefetch_count=1000)
        self.channel, self.tag = channel, await channel.consume("there", self._heard)
        return ("there",)

    def _heard(self, messages: Sequence[ReceivedMessage]) -> None:
        self.messages += messages
        self.groups.append(len(messages))
        self._take(messages)

    def ids(self) -> list[str]:
        return [message.message_id or "" for message in self.messages]


def connected(rabbit: Rabbit, home: Path, vhost: str, hearing: Hearing) -> BrokerConnection:
    return BrokerConnection(rabbit.settings(home, vhost), home, "in", hearing.begin)


async def sent(rabbit: Rabbit, home: Path, vhost: str, messages: Sequence[aio_pika.Message]) -> None:
    async with BrokerConnection(rabbit.settings(home, vhost), home, "out", nothing) as out:
        await out.until_connected()
        results = await out.publish_all([Outgoing("", "there", message) for message in messages])
        assert set(results) == {PublishResult.CONFIRMED}


async def only_these_come_again(rabbit: Rabbit, home: Path, vhost: str, *expected: str) -> None:
    """To the next consumer, which acknowledges them. The broker returns messages to the queue some time after
    a connection has ended."""

    def take(messages: Sequence[ReceivedMessage]) -> None:
        for message in messages:
            message.ack()

    hearing = Hearing(take)
    async with connected(rabbit, home, vhost, hearing) as connection:
        await connection.until_connected()
        with suppress(TimeoutError):
            async with asyncio.timeout(30):
                await until(lambda: {*expected} <= {*hearing.ids()})
        await sent(rabbit, home, vhost, [note("the last")])
        await until(lambda: "the last" in hearing.ids())
    assert sorted(hearing.ids()) == sorted([*expected, "the last"])


def test_messages_come_in_order_with_their_properties_and_many_at_once(
    rabbit: Rabbit, tmp_path: Path
) -> None:
    frame_max = 131072
    sizes = (0, 1, frame_max - 9, frame_max - 8, frame_max - 7, 300_000, *[7000] * 200)
    at = datetime(2026, 11, 30, 8, tzinfo=UTC)

    async def test() -> None:
        vhost, hearing = rabbit.vhost(), Hearing()
        async with connected(rabbit, tmp_path, vhost, hearing) as connection:
            await connection.until_connected()
            messages = [
                aio_pika.Message(
                    bytes([index % 256]) * size,
                    headers={"name": f"报关单{index}.xml", "final": True, "table": {"list": [1, "a", None]}},
                    content_type="application/xml",
                    content_encoding="utf-8",
                    correlation_id=f"c{index}",
                    reply_to="broker.replies",
                    message_id=f"m{index}",
                    timestamp=at,
                    type="gateway",
                    user_id="gateway",
                    app_id="test",
                )
                for index, size in enumerate(sizes)
            ]
            await sent(rabbit, tmp_path, vhost, [*messages, aio_pika.Message(b"bare", message_id="bare")])
            await until(lambda: len(hearing.messages) == len(messages) + 1)
        for message, heard in zip(messages, hearing.messages, strict=False):
            for name in (
                *("body", "headers", "content_type", "content_encoding", "correlation_id", "reply_to"),
                *("message_id", "timestamp", "type", "user_id", "app_id"),
            ):
                assert getattr(heard, name) == getattr(message, name), name
            assert (heard.routing_key, heard.redelivered) == ("there", False)
        bare = hearing.messages[-1]
        assert (bare.body, bare.headers, bare.content_type, bare.user_id) == (b"bare", {}, None, None)
        assert max(hearing.groups) > 1

    run(test)


@pytest.mark.parametrize("seed", range(4))
def test_only_what_was_acknowledged_is_in_whatever_order(rabbit: Rabbit, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  no secret

    async def test() -> None:
        vhost, hearing = rabbit.vhost(), Hearing()
        async with connected(rabbit, tmp_path, vhost, hearing) as connection:
            await connection.until_connected()
            await sent(rabbit, tmp_path, vhost, [note(str(number)) for number in range(200)])
            await until(lambda: len(hearing.messages) == 200)
            acknowledged = chance.sample(hearing.messages, chance.choice((1, 50, 150, 199)))
            for message in acknowledged:
                message.ack()
                if not chance.randrange(4):
                    await asyncio.sleep(0)
            # The broker forgets what it has not read when the connection is closed.
            await until(lambda: rabbit.depth(vhost, "there") == 200 - len(acknowledged))
        left = {*hearing.ids()} - {message.message_id or "" for message in acknowledged}
        await only_these_come_again(rabbit, tmp_path, vhost, *left)

    run(test)


def test_what_is_rejected_is_not_acknowledged_with_its_neighbours(rabbit: Rabbit, tmp_path: Path) -> None:
    async def test() -> None:
        vhost, hearing = rabbit.vhost(), Hearing()
        async with connected(rabbit, tmp_path, vhost, hearing) as connection:
            await connection.until_connected()
            await sent(rabbit, tmp_path, vhost, [note(str(number)) for number in range(20)])
            await until(lambda: len(hearing.messages) == 20)
            for message in [*hearing.messages[8:], *hearing.messages[:8]]:
                match message.message_id:
                    case "5" | "6":
                        message.reject(requeue=True)
                    case "7":
                        message.reject(requeue=False)
                    case _:
                        message.ack()
            await until(lambda: len(hearing.messages) == 22)
            assert [(each.message_id, each.redelivered) for each in hearing.messages[20:]] == [
                ("5", True),
                ("6", True),
            ]
            await until(lambda: rabbit.depth(vhost, "dead") == 1)
            # Settled once, whatever is said afterwards.
            for message in hearing.messages[:20]:
                message.reject(requeue=True)
                message.ack()
            await sent(rabbit, tmp_path, vhost, [note("the next")])
            await until(lambda: "the next" in hearing.ids())
            assert connection.connected
        await only_these_come_again(rabbit, tmp_path, vhost, "5", "6", "the next")

    run(test)


def test_what_is_acknowledged_after_consuming_has_ended_is_settled(rabbit: Rabbit, tmp_path: Path) -> None:
    async def test() -> None:
        vhost, hearing = rabbit.vhost(), Hearing()
        async with connected(rabbit, tmp_path, vhost, hearing) as connection:
            await connection.until_connected()
            await sent(rabbit, tmp_path, vhost, [note(str(number)) for number in range(20)])
            await until(lambda: len(hearing.messages) == 20)
            assert hearing.channel is not None
            await hearing.channel.cancel(hearing.tag, within=10)
            for message in hearing.messages[:19]:
                message.ack()
            await until(lambda: rabbit.depth(vhost, "there") == 1)
        await only_these_come_again(rabbit, tmp_path, vhost, "19")

    run(test)


def test_where_the_broker_dies_all_that_was_not_acknowledged_comes_again(
    mortal_rabbit: Rabbit, tmp_path: Path
) -> None:
    async def test() -> None:
        vhost = mortal_rabbit.vhost()

        def take(messages: Sequence[ReceivedMessage]) -> None:
            for message in messages:
                if int(message.message_id or "0") % 2:
                    message.ack()

        hearing = Hearing(take)
        async with connected(mortal_rabbit, tmp_path, vhost, hearing) as connection:
            await connection.until_connected()
            mortal_rabbit.note_queues()
            await sent(mortal_rabbit, tmp_path, vhost, [note(str(number)) for number in range(400)])
            mortal_rabbit.kill_at_once()
            await until(lambda: not connection.connected)
            before = list(hearing.messages)
            await asyncio.to_thread(mortal_rabbit.start)
            await connection.until_connected()
            # Their numbers are those of other messages on the new connection.
            for message in before:
                message.ack()
            evens = {str(number) for number in range(0, 400, 2)}
            await until(lambda: evens <= {*hearing.ids()[len(before) :]})
        await only_these_come_again(mortal_rabbit, tmp_path, vhost, *evens)

    run(test)


def test_a_consumer_of_the_library_on_the_same_channel_keeps_its_messages(
    rabbit: Rabbit, tmp_path: Path
) -> None:
    async def test() -> None:
        vhost, hearing = rabbit.vhost(), Hearing()
        theirs: list[AbstractIncomingMessage] = []

        async def begin(channel: BrokerChannel) -> Sequence[str]:
            watched = await hearing.begin(channel)

            async def keep(message: AbstractIncomingMessage) -> None:
                theirs.append(message)

            await (await channel.declare_queue("theirs", durable=True)).consume(keep)
            return watched

        async with BrokerConnection(rabbit.settings(tmp_path, vhost), tmp_path, "in", begin) as connection:
            await connection.until_connected()
            assert await connection.publish("", "theirs", note("theirs")) is PublishResult.CONFIRMED
            await until(lambda: len(theirs) == 1)
            assert await connection.publish("", "there", note("ours")) is PublishResult.CONFIRMED
            await until(lambda: hearing.ids() == ["ours"])
            hearing.messages[0].ack()
        assert theirs[0].body == b"<a/>"
        assert rabbit.depth(vhost, "theirs") == 1
        await only_these_come_again(rabbit, tmp_path, vhost)

    run(test)


def test_messages_without_acknowledgement_are_settled_when_they_are_sent(
    rabbit: Rabbit, tmp_path: Path
) -> None:
    async def test() -> None:
        vhost = rabbit.vhost()
        come: list[ReceivedMessage] = []

        async def begin(channel: BrokerChannel) -> Sequence[str]:
            await channel.declare_queue("there", durable=True, arguments=QUEUE)
            await channel.declare_queue("dead", durable=True)
            await channel.consume("there", come.extend, no_ack=True)
            return ("there",)

        async with BrokerConnection(rabbit.settings(tmp_path, vhost), tmp_path, "in", begin) as connection:
            await connection.until_connected()
            await sent(rabbit, tmp_path, vhost, [note("1"), note("2")])
            await until(lambda: len(come) == 2)
            come[0].ack()
            come[1].reject(requeue=True)
            await asyncio.sleep(0)
            assert await connection.publish("", "there", note("3")) is PublishResult.CONFIRMED
            await until(lambda: len(come) == 3)
        await only_these_come_again(rabbit, tmp_path, vhost)

    run(test)


def test_a_consumer_that_fails_takes_nothing_with_it(rabbit: Rabbit, tmp_path: Path) -> None:
    async def test() -> None:
        errors: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))

        def fail(messages: Sequence[ReceivedMessage]) -> None:
            if any(message.message_id == "bad" for message in messages):
                raise ValueError("as a bug would")
            for message in messages:
                message.ack()

        vhost, hearing = rabbit.vhost(), Hearing(fail)
        async with connected(rabbit, tmp_path, vhost, hearing) as connection:
            await connection.until_connected()
            await sent(rabbit, tmp_path, vhost, [note("bad")])
            await until(lambda: hearing.ids() == ["bad"])
            await sent(rabbit, tmp_path, vhost, [note("good")])
            await until(lambda: hearing.ids() == ["bad", "good"])
            assert connection.connected
        assert len(errors) == 1
        await only_these_come_again(rabbit, tmp_path, vhost, "bad")

    run(test)

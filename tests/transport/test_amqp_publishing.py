"""What publishing promises of each message, alone and in a group, against a real broker."""

import asyncio
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from hypothesis import given
from hypothesis import strategies as st
from pamqp.frame import marshal
from pamqp.header import ContentHeader

import adapters.transport.amqp.connection as amqp_connection
from adapters.transport.amqp.connection import BrokerConnection
from adapters.transport.amqp.content import HEADER, body_size_in, content_header, frame, properties_in
from adapters.transport.amqp.publishing import Outgoing, PublishResult
from tests.support.rabbitmq import Rabbit
from tests.transport.test_amqp_connection import note, nothing, run, until

Publish = Callable[[BrokerConnection, Sequence[Outgoing]], Awaitable[Sequence[PublishResult]]]


async def each_alone(connection: BrokerConnection, group: Sequence[Outgoing]) -> Sequence[PublishResult]:
    return await asyncio.gather(
        *(connection.publish(each.exchange, each.routing_key, each.message) for each in group)
    )


async def together(connection: BrokerConnection, group: Sequence[Outgoing]) -> Sequence[PublishResult]:
    return await connection.publish_all(group)


WAYS = pytest.mark.parametrize("publish", [each_alone, together])


async def with_queue(channel: AbstractChannel) -> Sequence[str]:
    await channel.declare_queue("there", durable=True, arguments={"x-queue-type": "quorum"})
    return ()


def connected(
    rabbit: Rabbit, home: Path, vhost: str | None = None, largest: int = 64 * 1024 * 1024
) -> BrokerConnection:
    settings = rabbit.settings(home, vhost or rabbit.vhost(), largest=largest)
    return BrokerConnection(settings, home, "test", with_queue)


async def in_queue(rabbit: Rabbit, vhost: str) -> list[aio_pika.abc.AbstractIncomingMessage]:
    """All messages of the queue, which is empty afterwards."""
    messages = []
    async with await aio_pika.connect(rabbit.url(vhost, "gateway")) as peer:
        queue = await (await peer.channel()).get_queue("there", ensure=False)
        while (message := await queue.get(no_ack=True, fail=False)) is not None:
            messages.append(message)
    return messages


@WAYS
def test_each_message_of_a_group_has_a_result_of_its_own(
    rabbit: Rabbit, tmp_path: Path, publish: Publish
) -> None:
    long, too_many = "x" * 300, {str(number): "x" * 200 for number in range(1000)}
    group = [Outgoing("", "there" if index % 3 else "nowhere", note(f"m{index}")) for index in range(60)]
    wrong = [
        Outgoing("", "there", note("large", bytes(2049))),
        Outgoing("", long, note("key")),
        Outgoing("", "there", aio_pika.Message(b"", message_id=long)),
        Outgoing("", "there", aio_pika.Message(b"", headers=dict(too_many), message_id="headers")),
        Outgoing("", "there", aio_pika.Message(b"", correlation_id="\ud800")),
    ]

    async def test() -> None:
        vhost = rabbit.vhost()
        async with connected(rabbit, tmp_path, vhost, largest=2048) as connection:
            await connection.until_connected()
            results = await publish(connection, [*group[:30], *wrong, *group[30:]])
            assert results[30:35] == [PublishResult.REFUSED] * 5
            assert [*results[:30], *results[35:]] == [
                PublishResult.CONFIRMED if index % 3 else PublishResult.RETURNED for index in range(60)
            ]
            there = [message.message_id for message in await in_queue(rabbit, vhost)]
            assert there == [f"m{index}" for index in range(60) if index % 3]
            assert await publish(connection, []) == []

    run(test)


@WAYS
def test_messages_with_one_id_in_a_group_are_distinguished(
    rabbit: Rabbit, tmp_path: Path, publish: Publish
) -> None:
    async def test() -> None:
        async with connected(rabbit, tmp_path) as connection:
            await connection.until_connected()
            group = [Outgoing("", "there" if index % 2 else "nowhere", note("same")) for index in range(12)]
            results = await publish(connection, group)
            assert results == [PublishResult.RETURNED, PublishResult.CONFIRMED] * 6
            unnamed = [Outgoing("", key, aio_pika.Message(b"")) for key in ("there", "nowhere") * 5]
            results = await publish(connection, unnamed)
            assert results == [PublishResult.CONFIRMED, PublishResult.RETURNED] * 5

    run(test)


@WAYS
def test_bodies_of_any_size_arrive_as_they_were(rabbit: Rabbit, tmp_path: Path, publish: Publish) -> None:
    frame_max = 131072
    sizes = (0, 1, 7000, frame_max - 9, frame_max - 8, frame_max - 7, 2 * (frame_max - 8), 700_000, 3)
    bodies = [bytes(range(256)) * (size // 256) + bytes(size % 256) for size in sizes]

    async def test() -> None:
        vhost = rabbit.vhost()
        async with connected(rabbit, tmp_path, vhost) as connection:
            await connection.until_connected()
            group = [Outgoing("", "there", note(str(index), body)) for index, body in enumerate(bodies)]
            assert set(await publish(connection, group)) == {PublishResult.CONFIRMED}
            assert [message.body for message in await in_queue(rabbit, vhost)] == bodies

    run(test)


@pytest.mark.parametrize("frame_max", [0, 4096])
def test_bodies_arrive_as_they_were_whatever_the_largest_frame_of_the_broker_is(
    rabbit: Rabbit, tmp_path: Path, frame_max: int
) -> None:
    bodies = [bytes(size) for size in (0, 1, 4087, 4088, 4089, 131_063, 131_064, 131_065, 700_000)]

    async def test() -> None:
        vhost = rabbit.vhost()
        async with connected(rabbit, tmp_path, vhost) as connection:
            await connection.until_connected()
            group = [Outgoing("", "there", note(str(index), body)) for index, body in enumerate(bodies)]
            assert set(await connection.publish_all(group)) == {PublishResult.CONFIRMED}
        assert [message.body for message in await in_queue(rabbit, vhost)] == bodies

    with rabbit.frames(frame_max):
        run(test)


@WAYS
def test_where_the_broker_refuses_one_of_many_nothing_is_refused_that_it_may_have(
    rabbit: Rabbit, tmp_path: Path, publish: Publish
) -> None:
    async def test() -> None:
        vhost = rabbit.vhost()
        async with connected(rabbit, tmp_path, vhost) as connection:
            await connection.until_connected()
            group = [Outgoing("", "there", note(f"m{index}")) for index in range(20)]
            group[10] = Outgoing("no.such.exchange", "there", note("wrong"))
            results = await publish(connection, group)
            assert set(results) <= {PublishResult.CONFIRMED, PublishResult.UNKNOWN}
            assert results[10:] == [PublishResult.UNKNOWN] * 10
            await connection.until_connected()
            there = {message.message_id for message in await in_queue(rabbit, vhost)}
            confirmed = {f"m{i}" for i, result in enumerate(results) if result is PublishResult.CONFIRMED}
            assert confirmed <= there <= {f"m{index}" for index in range(10)}
            assert await publish(connection, group[:1]) == [PublishResult.CONFIRMED]

    run(test)


@WAYS
def test_a_single_message_that_the_broker_refuses_is_refused(
    rabbit: Rabbit, tmp_path: Path, publish: Publish
) -> None:
    async def test() -> None:
        vhost = rabbit.vhost("broker-aa")
        over_the_brokers_limit = note("large", bytes(16 * 1024 * 1024 + 1))
        async with connected(rabbit, tmp_path, vhost) as connection:
            for refused in (
                Outgoing("", "there", over_the_brokers_limit),
                Outgoing("no.such.exchange", "x", note("1")),
            ):
                await connection.until_connected()
                assert await publish(connection, [refused]) == [PublishResult.REFUSED]
        account = rabbit.settings(tmp_path, vhost, "broker-aa")
        async with BrokerConnection(account, tmp_path, "test", nothing) as connection:
            await connection.until_connected()
            forbidden = Outgoing("amq.direct", "x", note("2"))
            assert await publish(connection, [forbidden]) == [PublishResult.REFUSED]

    run(test)


def test_a_channel_that_is_closed_for_something_else_refuses_no_message(
    rabbit: Rabbit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        made: list[AbstractChannel] = []

        async def set_up(channel: AbstractChannel) -> Sequence[str]:
            made.append(channel)
            return await with_queue(channel)

        settings = rabbit.settings(tmp_path, rabbit.vhost())
        async with BrokerConnection(settings, tmp_path, "test", set_up) as connection:
            await connection.until_connected()
            below = await made[0].get_underlay_channel()
            declaring = asyncio.create_task(below.queue_declare("no.such.queue", passive=True))
            await asyncio.sleep(0)
            result = await connection.publish("", "there", note("1"))
            assert result in (PublishResult.CONFIRMED, PublishResult.UNKNOWN)
            with pytest.raises(aio_pika.exceptions.ChannelClosed):
                await declaring

    run(test)


@WAYS
def test_of_a_blocked_broker_nothing_is_confirmed_that_it_does_not_have(
    mortal_rabbit: Rabbit, tmp_path: Path, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(amqp_connection, "CONFIRM_WITHIN", 1.0)

    async def test() -> None:
        vhost = mortal_rabbit.vhost()
        async with connected(mortal_rabbit, tmp_path, vhost) as connection:
            await connection.until_connected()
            groups = [
                [Outgoing("", "there", note(f"{number}-{i}")) for i in range(20)] for number in range(4)
            ]
            assert set(await publish(connection, groups[0])) == {PublishResult.CONFIRMED}
            await asyncio.to_thread(mortal_rabbit.ctl, "set_vm_memory_high_watermark", "absolute", "1000000")
            try:
                first = await publish(connection, groups[1])
                assert set(first) <= {PublishResult.BUSY, PublishResult.UNKNOWN}
                assert set(await publish(connection, groups[2])) == {PublishResult.BUSY}
            finally:
                await asyncio.to_thread(mortal_rabbit.ctl, "set_vm_memory_high_watermark", "0.4")
            await until(lambda: not connection.blocked and connection.connected)
            assert set(await publish(connection, groups[3])) == {PublishResult.CONFIRMED}
            there = Counter((message.message_id or "")[0] for message in await in_queue(mortal_rabbit, vhost))
            assert (there["0"], there["2"], there["3"]) == (20, 0, 20)
            assert there["1"] <= first.count(PublishResult.UNKNOWN)

    run(test)


@WAYS
def test_where_the_broker_dies_amid_a_group_all_that_is_confirmed_is_there(
    mortal_rabbit: Rabbit, tmp_path: Path, publish: Publish
) -> None:
    async def test() -> None:
        vhost = mortal_rabbit.vhost()
        async with connected(mortal_rabbit, tmp_path, vhost) as connection:
            await connection.until_connected()
            mortal_rabbit.note_queues()
            groups = [
                [Outgoing("", "there", note(f"{number}-{i}", bytes(7000))) for i in range(200)]
                for number in range(10)
            ]
            publishing = [asyncio.create_task(asyncio.wait_for(publish(connection, g), 60)) for g in groups]
            await asyncio.wait(publishing, return_when=asyncio.FIRST_COMPLETED)
            mortal_rabbit.kill_at_once()
            results = [result for one in await asyncio.gather(*publishing) for result in one]
            assert set(results) <= {PublishResult.CONFIRMED, PublishResult.UNKNOWN, PublishResult.AWAY}
            await asyncio.to_thread(mortal_rabbit.start)
            await until(lambda: not connection.connected)
            await connection.until_connected()
            there = {message.message_id for message in await in_queue(mortal_rabbit, vhost)}
            sent = [each.message.message_id for group in groups for each in group]
            fate = dict(zip(sent, results, strict=True))
            assert {id_ for id_ in sent if fate[id_] is PublishResult.CONFIRMED} <= there
            assert not {id_ for id_ in sent if fate[id_] is PublishResult.AWAY} & there

    run(test)


@WAYS
def test_a_broker_that_hangs_leaves_what_it_did_not_confirm_unknown(
    mortal_rabbit: Rabbit, tmp_path: Path, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(amqp_connection, "CONFIRM_WITHIN", 0.5)
    monkeypatch.setattr(amqp_connection, "PROOF_WITHIN", 60.0)

    async def test() -> None:
        vhost = mortal_rabbit.vhost()
        async with connected(mortal_rabbit, tmp_path, vhost) as connection:
            await connection.until_connected()
            group = [Outgoing("", "there", note(f"m{index}")) for index in range(20)]
            mortal_rabbit.pause(signal.SIGSTOP)
            try:
                assert set(await publish(connection, group)) == {PublishResult.UNKNOWN}
            finally:
                mortal_rabbit.pause(signal.SIGCONT)
            monkeypatch.setattr(amqp_connection, "CONFIRM_WITHIN", 60.0)
            # Under the same ids, and beside what is confirmed late.
            again = [
                Outgoing("", key, note(f"m{index}")) for index, key in enumerate(["there", "nowhere"] * 10)
            ]
            results = await publish(connection, again)
            assert results[::2] == [PublishResult.CONFIRMED] * 10
            assert results[1::2] == [PublishResult.RETURNED] * 10

    run(test)


def test_who_no_longer_waits_for_a_group_disturbs_no_other(rabbit: Rabbit, tmp_path: Path) -> None:
    async def test() -> None:
        async with connected(rabbit, tmp_path) as connection:
            await connection.until_connected()
            for turns in range(6):
                group = [Outgoing("", "there", note(f"{turns}-{index}")) for index in range(20)]
                publishing = asyncio.create_task(connection.publish_all(group))
                for _ in range(turns):
                    await asyncio.sleep(0)
                publishing.cancel()
                assert await connection.publish("", "there", note(f"{turns}")) is PublishResult.CONFIRMED
                assert await connection.publish("", "nowhere", note(f"{turns}-0")) is PublishResult.RETURNED
            assert connection.connected

    run(test)


TEXTS = (
    "content_type",
    "content_encoding",
    "correlation_id",
    "reply_to",
    "message_id",
    "type",
    "user_id",
    "app_id",
)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)


@given(
    texts=st.fixed_dictionaries(dict.fromkeys(TEXTS, st.none() | st.text(max_size=60))),
    headers=st.dictionaries(st.text(max_size=40), VALUE, max_size=4),
    delivery_mode=st.sampled_from((None, 1, 2)),
    priority=st.none() | st.integers(0, 255),
    expiration=st.none() | st.integers(1, 1000),
    timestamp=st.none() | st.integers(0, 4_000_000_000),
)
def test_properties_are_written_as_the_library_writes_them_and_read_again(
    texts: dict[str, str | None],
    headers: dict[str, object],
    delivery_mode: int | None,
    priority: int | None,
    expiration: int | None,
    timestamp: int | None,
) -> None:
    message = aio_pika.Message(
        b"body",
        headers=headers,  # type: ignore[arg-type]  # whatever a table may hold
        delivery_mode=delivery_mode,
        priority=priority,
        expiration=expiration,
        timestamp=timestamp,
        **texts,
    )
    expected = marshal(ContentHeader(body_size=4, properties=message.properties), 7)
    assert frame(HEADER, 7, content_header(message)) == expected
    read = properties_in(expected[7:-1])
    assert body_size_in(expected[7:-1]) == 4
    assert {name: read.get(name) for name in texts} == {name: text or None for name, text in texts.items()}
    assert read.get("timestamp") == timestamp
    if timestamp is not None:
        assert message.timestamp == datetime.fromtimestamp(timestamp, tz=UTC)

"""The supervised connection to a broker, against a real one."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel

import adapters.transport.amqp.connection as amqp_connection
from adapters.transport.amqp.connection import BrokerConnection
from adapters.transport.amqp.publishing import PublishResult
from adapters.transport.tls_trouble import OURS, THEIRS
from tests.support.rabbitmq import Rabbit
from tests.support.tls import issued

SECONDS = 240.0  # a bound against hanging for ever: the machine may be busy


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(SECONDS):
            await test()

    asyncio.run(bounded())


async def nothing(_: AbstractChannel) -> Sequence[str]:
    return ()


def note(text: str, body: bytes = b"<a/>") -> aio_pika.Message:
    return aio_pika.Message(body, message_id=text, delivery_mode=2)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.02)


async def failed_with(connection: BrokerConnection, why: str) -> None:
    """Waits for an attempt that failed of this: the alert of TLS is lost where a reset overtakes it."""
    await until(lambda: connection.why_not.startswith(why))


def consuming(
    queue: str, received: "asyncio.Queue[bytes]"
) -> Callable[[AbstractChannel], Awaitable[Sequence[str]]]:
    async def set_up(channel: AbstractChannel) -> Sequence[str]:
        declared = await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": "quorum"})

        async def put(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            await message.ack()
            received.put_nowait(message.body)

        await declared.consume(put)
        return [queue]

    return set_up


def test_a_connection_ends_though_a_cancellation_is_swallowed_while_it_is_made(
    rabbit: Rabbit, tmp_path: Path
) -> None:
    async def test() -> None:
        begun = asyncio.Event()

        async def swallowing(_: AbstractChannel) -> Sequence[str]:
            begun.set()
            with suppress(asyncio.CancelledError):  # as the library does now and then
                await asyncio.Event().wait()
            return ()

        settings = rabbit.settings(tmp_path, rabbit.vhost())
        async with BrokerConnection(settings, tmp_path, "test", swallowing) as connection:
            await begun.wait()
        assert not connection.connected

    run(test)


def test_a_connection_whose_check_does_not_end_is_made_again(
    rabbit: Rabbit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SET_UP_WITHIN", "PROOF_WITHIN", "WATCH_EVERY"):
        monkeypatch.setattr(amqp_connection, name, 0.5)
    calls = 0

    async def set_up(_: AbstractChannel) -> Sequence[str]:
        nonlocal calls
        calls += 1
        if calls == 2:
            with suppress(asyncio.CancelledError):  # as the library does now and then
                await asyncio.Event().wait()
            await asyncio.Event().wait()
        return ()

    async def test() -> None:
        settings = rabbit.settings(tmp_path, rabbit.vhost())
        async with BrokerConnection(settings, tmp_path, "test", set_up, again=True) as connection:
            await until(lambda: calls > 2 and connection.connected)

    run(test)


def test_publishing_returns_the_outcome(rabbit: Rabbit, tmp_path: Path) -> None:
    async def test() -> None:
        settings = rabbit.settings(tmp_path, rabbit.vhost(), largest=2048)
        connection = BrokerConnection(settings, tmp_path, "test", nothing)
        assert await connection.publish("", "nowhere", note("0")) is PublishResult.AWAY
        async with connection:
            await connection.until_connected()
            async with await aio_pika.connect(rabbit.url(settings.vhost, "gateway")) as peer:
                channel = await peer.channel()
                queue = await channel.declare_queue("there", durable=True)
                assert await connection.publish("", "there", note("1")) is PublishResult.CONFIRMED
                assert await connection.publish("", "nowhere", note("2")) is PublishResult.RETURNED
                assert await connection.publish("", "there", note("3", bytes(2049))) is PublishResult.REFUSED
                assert await connection.publish("no.such.exchange", "x", note("4")) is PublishResult.REFUSED
                got = await queue.get()
                assert (got.message_id, got.body) == ("1", b"<a/>")
                await connection.until_connected()
                assert await connection.publish("", "there", note("5")) is PublishResult.CONFIRMED

    run(test)


def test_messages_with_one_id_at_the_same_time_are_distinguished(rabbit: Rabbit, tmp_path: Path) -> None:
    async def test() -> None:
        settings = rabbit.settings(tmp_path, rabbit.vhost())
        async with BrokerConnection(settings, tmp_path, "test", nothing) as connection:
            await connection.until_connected()
            async with await aio_pika.connect(rabbit.url(settings.vhost, "gateway")) as peer:
                await (await peer.channel()).declare_queue("there", durable=True)
                results = await asyncio.gather(
                    *(
                        connection.publish("", "there" if index % 2 else "nowhere", note("same"))
                        for index in range(20)
                    )
                )
        assert results == [PublishResult.RETURNED, PublishResult.CONFIRMED] * 10

    run(test)


def test_a_consumer_whose_queue_was_deleted_is_there_again(rabbit: Rabbit, tmp_path: Path) -> None:
    async def test() -> None:
        received: asyncio.Queue[bytes] = asyncio.Queue()
        settings = rabbit.settings(tmp_path, rabbit.vhost())
        set_up = consuming("q", received)
        async with BrokerConnection(settings, tmp_path, "test", set_up) as connection:
            await connection.until_connected()
            async with await aio_pika.connect(rabbit.url(settings.vhost, "gateway")) as peer:
                channel = await peer.channel()
                await channel.queue_delete("q")
                await until(lambda: not connection.connected)
                await connection.until_connected()
                await channel.default_exchange.publish(note("1", b"again"), "q")
                assert await received.get() == b"again"

    run(test)


def test_a_broker_that_was_killed_is_found_again(mortal_rabbit: Rabbit, tmp_path: Path) -> None:
    async def test() -> None:
        received: asyncio.Queue[bytes] = asyncio.Queue()
        settings = mortal_rabbit.settings(tmp_path, mortal_rabbit.vhost())
        async with (
            BrokerConnection(settings, tmp_path, "in", consuming("q", received)) as consumer,
            BrokerConnection(settings, tmp_path, "out", nothing) as publisher,
        ):
            await consumer.until_connected()
            await publisher.until_connected()
            mortal_rabbit.kill()
            await until(lambda: not consumer.connected and not publisher.connected)
            assert await publisher.publish("", "q", note("1")) is PublishResult.AWAY
            await asyncio.to_thread(mortal_rabbit.start)
            await consumer.until_connected()
            await publisher.until_connected()
            assert await publisher.publish("", "q", note("2", b"after")) is PublishResult.CONFIRMED
            assert await received.get() == b"after"

    run(test)


def test_a_broker_without_memory_makes_publishing_busy_and_loses_nothing(
    mortal_rabbit: Rabbit, tmp_path: Path
) -> None:
    async def test() -> None:
        received: asyncio.Queue[bytes] = asyncio.Queue()
        settings = mortal_rabbit.settings(tmp_path, mortal_rabbit.vhost())
        async with (
            BrokerConnection(settings, tmp_path, "in", consuming("q", received)) as consumer,
            BrokerConnection(settings, tmp_path, "out", nothing) as publisher,
        ):
            await consumer.until_connected()
            await publisher.until_connected()
            assert await publisher.publish("", "q", note("1", b"1")) is PublishResult.CONFIRMED
            await asyncio.to_thread(mortal_rabbit.ctl, "set_vm_memory_high_watermark", "absolute", "1000000")
            try:
                results = await publisher.publish("", "q", note("2", b"2"))
                assert results in (PublishResult.BUSY, PublishResult.UNKNOWN)
                assert await publisher.publish("", "q", note("3", b"3")) is PublishResult.BUSY
                assert consumer.connected
                await until(lambda: publisher.blocked)
            finally:
                await asyncio.to_thread(mortal_rabbit.ctl, "set_vm_memory_high_watermark", "0.4")
            await until(lambda: not publisher.blocked and publisher.connected)
            assert await publisher.publish("", "q", note("4", b"4")) is PublishResult.CONFIRMED
            bodies = [await received.get()]
            while bodies[-1] != b"4":
                bodies.append(await received.get())
            assert bodies == [b"1", *([b"2"] if results is PublishResult.UNKNOWN else []), b"4"]

    run(test)


def test_over_tls_each_end_knows_the_other_by_its_certificate(rabbit: Rabbit, tmp_path: Path) -> None:
    async def test() -> None:
        ours, theirs = issued(tmp_path / "ours", "gateway"), issued(tmp_path / "x", "stranger", "another")
        vhost = rabbit.vhost()

        def over_tls(**more: object) -> BrokerConnection:
            settings = rabbit.settings(tmp_path, vhost, "gateway", **{"port": rabbit.tls_port} | more)
            return BrokerConnection(settings, tmp_path, "tls", nothing)

        pair = {"certificate": str(ours.certificate), "key": str(ours.key)}
        async with over_tls(ca=str(ours.ca), **pair) as connection:
            await connection.until_connected()
            assert await connection.publish("", "nowhere", note("1")) is PublishResult.RETURNED
        stranger = {"certificate": str(theirs.certificate), "key": str(theirs.key)}
        for broken, why in (
            (over_tls(ca=str(ours.ca)), OURS),
            (over_tls(ca=str(ours.ca), **stranger), OURS),
            (over_tls(ca=str(theirs.ca), **pair), THEIRS),
        ):
            async with broken:
                await failed_with(broken, why)
                assert not broken.connected

    run(test)


def test_a_connection_is_made_again_for_other_files_and_kept_for_the_same(
    rabbit: Rabbit, tmp_path: Path
) -> None:
    ours, other = issued(tmp_path / "tls", "gateway"), issued(tmp_path / "tls", "gateway next")
    made: list[AbstractChannel] = []

    async def set_up(channel: AbstractChannel) -> Sequence[str]:
        made.append(channel)
        return ()

    async def test() -> None:
        certificate, key = tmp_path / "own.crt", tmp_path / "own.key"
        certificate.write_bytes(ours.certificate.read_bytes())
        key.write_bytes(ours.key.read_bytes())
        files = {"ca": str(ours.ca), "certificate": str(certificate), "key": str(key)}
        settings = rabbit.settings(tmp_path, rabbit.vhost(), "gateway", port=rabbit.tls_port, **files)
        async with BrokerConnection(settings, tmp_path, "tls", set_up) as connection:
            await connection.until_connected()
            connection.renewal()()
            assert await connection.publish("", "nowhere", note("1")) is PublishResult.RETURNED
            assert (len(made), connection.connected) == (1, True)
            certificate.write_bytes(other.certificate.read_bytes())
            key.write_bytes(other.key.read_bytes())
            connection.renewal()()
            await until(lambda: len(made) == 2)
            await connection.until_connected()
            assert await connection.publish("", "nowhere", note("2")) is PublishResult.RETURNED

    run(test)


def test_messages_that_were_put_aside_are_counted(rabbit: Rabbit, tmp_path: Path) -> None:
    async def test() -> None:
        settings = rabbit.settings(tmp_path, rabbit.vhost())

        async def set_up(channel: AbstractChannel) -> Sequence[str]:
            await channel.declare_queue("aside", durable=True, arguments={"x-queue-type": "quorum"})
            return ()

        async with BrokerConnection(settings, tmp_path, "test", set_up, "aside") as connection:
            await connection.until_connected()
            assert await connection.publish("", "aside", note("1")) is PublishResult.CONFIRMED
            await until(lambda: connection.put_aside == 1)
            assert connection.connected

    run(test)


def test_a_wrong_password_is_reported_as_such(rabbit: Rabbit, tmp_path: Path) -> None:
    async def test() -> None:
        settings = rabbit.settings(tmp_path, rabbit.vhost())
        (tmp_path / settings.password_file).write_text("another")
        async with BrokerConnection(settings, tmp_path, "test", nothing) as connection:
            await until(lambda: "ACCESS_REFUSED" in connection.why_not)

    run(test)


def test_a_connection_that_could_not_be_made_leaves_nothing_to_the_garbage_collector(
    rabbit: Rabbit, tmp_path: Path
) -> None:
    async def test() -> None:
        settings = rabbit.settings(tmp_path, rabbit.vhost())
        (tmp_path / settings.password_file).write_text("another")
        async with BrokerConnection(settings, tmp_path, "test", nothing) as connection:
            await until(lambda: "ACCESS_REFUSED" in connection.why_not)

    gc.disable()  # so that it is collected only where no loop runs
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(test())
        asyncio.set_event_loop(None)
        gc.collect()
    finally:
        gc.enable()
        loop.close()

"""What a broker may do to a back-end over AMQP, and what the messages that it exchanges are like."""

import asyncio
import io
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from adapters.backends import amqp
from adapters.backends.amqp import AmqpBackend
from adapters.backends.amqp_exchange import Word, answer, dead, word
from gateway.config.connections import AmqpBackendSettings
from gateway.formats.dxp import read
from gateway.model.answer import Answer
from gateway.model.delivery import Outcome
from tests.support.amqp_backend import backend_settings
from tests.support.rabbitmq import Rabbit
from tests.support.submissions import PackagedSubmission, sent

WITHIN = 120.0


@asynccontextmanager
async def opened(settings: AmqpBackendSettings, home: Path) -> AsyncIterator[AmqpBackend]:
    async with AmqpBackend(settings, home, "customs") as backend, asyncio.timeout(WITHIN * 2):
        await backend.until_connected()
        yield backend


@asynccontextmanager
async def customs(rabbit: Rabbit, settings: AmqpBackendSettings) -> AsyncIterator[AbstractChannel]:
    """The other side, as any client of the broker may be it."""
    async with (
        await aio_pika.connect(rabbit.url(settings.vhost, settings.user)) as connection,
        asyncio.timeout(WITHIN),
    ):
        yield await connection.channel()


async def submit(backend: AmqpBackend, one: PackagedSubmission) -> tuple[Outcome, str]:
    return await backend.submit(one.submission, lambda _sha256: io.BytesIO(one.package))


async def answers_of(backend: AmqpBackend, number: int) -> list[Answer]:
    async with asyncio.timeout(WITHIN):
        while len(answers := await backend.answers(100)) != number:
            await asyncio.sleep(0.02)
    return list(answers)


async def take_message(channel: AbstractChannel, queue: str) -> AbstractIncomingMessage:
    async with asyncio.timeout(WITHIN):
        while True:
            message = await (await channel.get_queue(queue)).get(no_ack=True, fail=False)
            if message is not None:
                return message
            await asyncio.sleep(0.02)


async def eventually(
    attempt: Callable[[], Coroutine[Any, Any, tuple[Outcome, str]]], expected: Outcome
) -> str:
    """The note with which an outcome comes at last."""
    async with asyncio.timeout(WITHIN):
        while True:
            outcome, note = await attempt()
            if outcome is expected:
                return note
            await asyncio.sleep(0.1)


def never_opened(_sha256: str) -> IO[bytes]:
    raise AssertionError("read, though it cannot be sent")


def test_a_submission_is_persistent_and_says_its_key_in_every_place(rabbit: Rabbit, tmp_path: Path) -> None:
    settings, one = backend_settings(rabbit, tmp_path, rabbit.vhost()), sent()

    async def scene() -> AbstractIncomingMessage:
        async with opened(settings, tmp_path) as backend, customs(rabbit, settings) as channel:
            assert await submit(backend, one) == (Outcome.TAKEN, "")
            return await take_message(channel, settings.submissions)

    message = asyncio.run(scene())
    assert (message.message_id, message.correlation_id) == (one.key, one.key)
    assert (message.content_type, message.app_id) == ("application/zip", "customs-edi-gateway")
    assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    assert one.package in message.body


def test_an_envelope_of_dxp_is_put_around_submissions_and_taken_from_answers(
    rabbit: Rabbit, tmp_path: Path
) -> None:
    wrapping = {"sender": "DXPENT0000000001", "receiver": "DXPEDCDEC0000001"}
    settings, one = backend_settings(rabbit, tmp_path, rabbit.vhost(), dxp=wrapping), sent()

    async def scene() -> tuple[AbstractIncomingMessage, Answer]:
        async with opened(settings, tmp_path) as backend, customs(rabbit, settings) as channel:
            assert await submit(backend, one) == (Outcome.TAKEN, "")
            message = await take_message(channel, settings.submissions)
            back = answer("1", one.key, "wrapped.xml", message.body)
            await channel.default_exchange.publish(back, settings.answers)
            return message, (await answers_of(backend, 1))[0]

    message, heard_again = asyncio.run(scene())
    zipped = io.BytesIO()
    assert read(io.BytesIO(message.body), zipped).id == one.key
    assert message.content_type == "application/xml"
    assert (heard_again.key, heard_again.body) == (one.key, zipped.getvalue())


def test_without_a_queue_a_submission_is_sent_later(rabbit: Rabbit, tmp_path: Path) -> None:
    settings = backend_settings(rabbit, tmp_path, rabbit.vhost())

    async def scene() -> tuple[Outcome, str]:
        async with opened(settings, tmp_path) as backend, customs(rabbit, settings) as channel:
            await channel.queue_delete(settings.submissions)
            return await submit(backend, sent())

    assert asyncio.run(scene()) == (Outcome.LATER, "there is no queue customs.in")


def test_a_refused_log_in_is_denied_until_an_operator_repairs_it(rabbit: Rabbit, tmp_path: Path) -> None:
    vhost = rabbit.vhost()
    right = backend_settings(rabbit, tmp_path, vhost)
    (tmp_path / "wrong").write_text("guess")
    rabbit.allow(vhost, "reader", ".*", "^$", ".*")
    (tmp_path / "reader.password").write_text("reader")
    reader = {"user": "reader", "password_file": "reader.password"}

    async def scene(change: dict[str, str]) -> str:
        async with AmqpBackend(right.model_copy(update=change), tmp_path, "customs") as backend:
            return await eventually(lambda: submit(backend, sent()), Outcome.DENIED)

    assert "Login was refused" in asyncio.run(scene({"password_file": "wrong"}))
    assert asyncio.run(scene({"vhost": "elsewhere"}))
    assert "no permission" in asyncio.run(scene(reader))


def test_without_a_broker_a_submission_is_sent_later(rabbit: Rabbit, tmp_path: Path) -> None:
    settings = backend_settings(rabbit, tmp_path, "any").model_copy(update={"port": 1})

    async def scene() -> tuple[Outcome, str]:
        async with AmqpBackend(settings, tmp_path, "customs") as backend:
            return await submit(backend, sent())

    assert asyncio.run(scene())[0] is Outcome.LATER


def test_a_submission_larger_than_the_largest_message_is_never_sent(rabbit: Rabbit, tmp_path: Path) -> None:
    settings = backend_settings(rabbit, tmp_path, "any", largest=10_000)
    one = sent(parts={"报关单.xml": b"<DecMessage/>"}, bare=True)
    just = replace(one.submission, package_size=10_000 - len(one.submission.envelope))
    large = replace(just, package_size=just.package_size + 1)
    body = replace(one, package=b"x" * just.package_size, submission=just)

    async def scene() -> list[tuple[Outcome, str]]:
        backend = AmqpBackend(settings, tmp_path, "customs")
        return [await backend.submit(large, never_opened), await submit(backend, body)]

    note = "larger than the 10000 bytes that one message may have (largest)"
    assert asyncio.run(scene()) == [(Outcome.NEVER, note)] * 2


def test_customs_is_asked_where_it_can_be_and_silence_says_nothing(
    rabbit: Rabbit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(amqp, "_WORD_WITHIN", 0.3)
    settings, key = backend_settings(rabbit, tmp_path, rabbit.vhost()), sent().key
    assert settings.questions is not None

    async def scene() -> list[Outcome | None]:
        async with opened(settings, tmp_path) as backend, customs(rabbit, settings) as channel:
            answers = [(await backend.ask(key))[0]]
            questions = await channel.get_queue(settings.questions or "")
            await questions.purge()
            for each in (Word.TAKEN, Word.UNKNOWN, "perhaps"):

                async def reply(question: AbstractIncomingMessage, each: str = each) -> None:
                    assert question.body == key.encode()
                    reply = word(Word.TAKEN, question.correlation_id)
                    reply.body = each.encode()
                    await channel.default_exchange.publish(reply, question.reply_to or "")
                    await question.ack()

                tag = await questions.consume(reply)
                answers.append((await backend.ask(key))[0])
                await questions.cancel(tag)
            return answers

    assert asyncio.run(scene()) == [Outcome.UNKNOWN, Outcome.TAKEN, None, Outcome.UNKNOWN]


def test_without_a_way_to_query_customs_an_unsure_submission_is_sent_again(
    rabbit: Rabbit, tmp_path: Path
) -> None:
    settings = backend_settings(rabbit, tmp_path, "any", questions=None)
    assert asyncio.run(AmqpBackend(settings, tmp_path, "customs").ask(sent().key)) == (None, "")


def test_an_answer_that_cannot_be_used_is_put_aside_and_does_not_stop_the_others(
    rabbit: Rabbit, tmp_path: Path
) -> None:
    settings = backend_settings(rabbit, tmp_path, rabbit.vhost(), largest=2048)
    key = sent().key

    async def scene() -> tuple[list[Answer], list[AbstractIncomingMessage]]:
        async with opened(settings, tmp_path) as backend, customs(rabbit, settings) as channel:
            answers_sent = (("1", key, b""), ("2", "no key", b"x" * 2049), ("3", key, b"<DEC_RESULT/>"))
            for id_, about, body in answers_sent:
                name = "../\n" + "x" * 300
                await channel.default_exchange.publish(answer(id_, about, name, body), settings.answers)
            answers = await answers_of(backend, 1)
            return answers, [await take_message(channel, dead(settings.answers)) for _ in range(2)]

    (good,), aside = asyncio.run(scene())
    assert (good.key, good.body) == (key, b"<DEC_RESULT/>")
    assert len(good.name) < 220
    assert "\n" not in good.name
    assert sorted(str(letter.headers["reason"]) for letter in aside) == ["empty", "larger than 2048 bytes"]


def test_queues_that_are_there_are_used_as_they_are(rabbit: Rabbit, tmp_path: Path) -> None:
    settings = backend_settings(rabbit, tmp_path, rabbit.vhost())

    async def scene() -> tuple[Outcome, str]:
        async with customs(rabbit, settings) as channel:
            await channel.declare_queue(settings.submissions, durable=True, arguments={"x-max-length": 5})
            async with opened(settings, tmp_path) as backend:
                return await submit(backend, sent())

    assert asyncio.run(scene()) == (Outcome.TAKEN, "")


def test_a_broker_that_is_killed_before_it_confirms_leaves_the_outcome_unknown_and_answers_come_again(
    mortal_rabbit: Rabbit, tmp_path: Path
) -> None:
    rabbit, one = mortal_rabbit, sent()
    settings = backend_settings(rabbit, tmp_path, rabbit.vhost())

    async def scene() -> None:
        async with opened(settings, tmp_path) as backend:
            async with customs(rabbit, settings) as channel:
                for number in ("1", "2"):
                    first_answer = answer(number, one.key, f"{number}.xml", b"<DEC_RESULT/>")
                    await channel.default_exchange.publish(first_answer, settings.answers)
                before = await answers_of(backend, 2)
            await backend.acknowledge([before[0].id])
            # As `Rabbit.kill` does; and the acknowledgement is read before the broker is stopped.
            await asyncio.to_thread(rabbit.note_queues)
            rabbit.pause(signal.SIGSTOP)
            under_way = asyncio.create_task(submit(backend, one))
            done, _ = await asyncio.wait([under_way], timeout=0.5)
            assert not done
            await asyncio.to_thread(rabbit.kill_at_once)
            assert await under_way == (Outcome.UNKNOWN, "the broker has not confirmed it")
            await eventually(lambda: submit(backend, one), Outcome.LATER)
            await asyncio.to_thread(rabbit.start)
            await eventually(lambda: submit(backend, one), Outcome.TAKEN)
            await backend.until_connected()
            again = await answers_of(backend, 1)
            assert again == before[1:]

    asyncio.run(scene())


def test_a_broker_that_is_short_of_memory_is_busy_until_it_is_not(
    mortal_rabbit: Rabbit, tmp_path: Path
) -> None:
    rabbit = mortal_rabbit
    settings = backend_settings(rabbit, tmp_path, rabbit.vhost())
    usual = rabbit.ctl("eval", "vm_memory_monitor:get_vm_memory_high_watermark().").strip()

    async def scene() -> None:
        async with opened(settings, tmp_path) as backend:
            await submit(backend, sent())
            await asyncio.to_thread(rabbit.ctl, "set_vm_memory_high_watermark", "absolute", "1")
            try:
                await eventually(lambda: submit(backend, sent()), Outcome.BUSY)
            finally:
                await asyncio.to_thread(rabbit.ctl, "set_vm_memory_high_watermark", usual)
            await eventually(lambda: submit(backend, sent()), Outcome.TAKEN)

    asyncio.run(scene())

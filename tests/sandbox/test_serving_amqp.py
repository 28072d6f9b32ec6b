"""Customs over AMQP with much in its queue at once: nothing of it is lost, doubled or out of order."""

import asyncio
import io
import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Final

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from adapters.backends.amqp_exchange import NAME, ZIP, submission
from adapters.sandbox.customs import serving_amqp
from adapters.sandbox.customs.customs import BOOK
from adapters.sandbox.customs.serving_amqp import AmqpServing
from adapters.transport.amqp.queues import stood
from gateway.config.connections import AmqpBackendSettings
from gateway.formats.submission import write_zip
from tests.support.amqp_backend import WITHIN, backend_settings
from tests.support.rabbitmq import Rabbit
from tests.support.submissions import CUSTOMS, PackagedSubmission, reference_customs, sent

MANY: Final = 40


def zipped(one: PackagedSubmission) -> bytes:
    out = io.BytesIO()
    write_zip(one.submission, lambda _sha256: io.BytesIO(one.package), out)
    return out.getvalue()


@asynccontextmanager
async def queued(
    rabbit: Rabbit, settings: AmqpBackendSettings, submissions: Sequence[tuple[str, bytes]]
) -> AsyncIterator[AbstractChannel]:
    """A channel, once these lie in customs' queue."""
    async with await aio_pika.connect(rabbit.url(settings.vhost, settings.user)) as connection:
        channel = await connection.channel()
        await stood(channel, settings.submissions)
        for key, body in submissions:
            await channel.default_exchange.publish(submission(key, body, ZIP), settings.submissions)
        yield channel


async def answered(
    rabbit: Rabbit, settings: AmqpBackendSettings, folder: Path, submissions: Sequence[tuple[str, bytes]]
) -> dict[str, list[str]]:
    """The kinds of the answers to each key, in the order of the queue, once customs has sent the usual ones
    for every key; customs is stopped then."""
    answers: defaultdict[str, list[str]] = defaultdict(list)
    expected = len({key for key, _ in submissions}) * len(CUSTOMS.answers)
    heard, stop = asyncio.Event(), asyncio.Event()

    async def hear(message: AbstractIncomingMessage) -> None:
        name = str(message.headers[NAME])
        answers[message.correlation_id or ""].append(name.partition("_")[0] + "_")
        await message.ack()
        if sum(map(len, answers.values())) == expected:
            heard.set()

    async with queued(rabbit, settings, submissions) as channel:
        await (await stood(channel, settings.answers)).consume(hear)
        with closing(reference_customs(folder)) as customs:
            serving = asyncio.create_task(AmqpServing(settings, folder, "customs", customs).run(stop))
            async with asyncio.timeout(WITHIN):
                await heard.wait()
                while await customs.answers(1):
                    await asyncio.sleep(0)  # until the last are noted as sent
            stop.set()
            await serving
        left = await channel.declare_queue(settings.submissions, passive=True)
        assert left.declaration_result.message_count == 0
    return answers


def test_what_lies_in_the_queue_is_taken_once_and_numbered_in_its_order(
    rabbit: Rabbit, tmp_path: Path
) -> None:
    settings = backend_settings(rabbit, tmp_path, rabbit.vhost())
    submissions = [(one.key, zipped(one)) for one in (sent(f"C-{number}") for number in range(MANY))]
    twice = [pair for pair in submissions for _ in range(2)]

    answers = asyncio.run(answered(rabbit, settings, tmp_path, twice))

    assert answers == {key: list(CUSTOMS.answers) for key, _ in submissions}
    with closing(sqlite3.connect(tmp_path / BOOK)) as book:
        numbered = book.execute("SELECT key FROM submissions ORDER BY seq_no").fetchall()
        calls = book.execute("SELECT key, outcome FROM calls ORDER BY id").fetchall()
    assert numbered == [(key,) for key, _ in submissions]
    assert calls == [(key, "taken") for key, _ in twice]


def test_an_answer_is_sent_as_soon_as_its_submission_is_taken(
    rabbit: Rabbit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_amqp, "_IDLE", 3600.0)
    settings = backend_settings(rabbit, tmp_path, rabbit.vhost())

    async def scene() -> None:
        heard = asyncio.Semaphore(0)

        async def hear(message: AbstractIncomingMessage) -> None:
            await message.ack()
            heard.release()

        async with queued(rabbit, settings, []) as channel:
            await (await stood(channel, settings.answers)).consume(hear)
            with closing(reference_customs(tmp_path)) as customs:
                serving = AmqpServing(settings, tmp_path, "customs", customs)
                work = asyncio.create_task(serving.run(asyncio.Event()))
                async with asyncio.timeout(WITHIN):
                    await serving.until_connected()
                    for reference in ("A", "B"):
                        one = sent(reference)
                        message = submission(one.key, zipped(one), ZIP)
                        await channel.default_exchange.publish(message, settings.submissions)
                        for _ in CUSTOMS.answers:
                            await heard.acquire()
                work.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await work

    asyncio.run(scene())

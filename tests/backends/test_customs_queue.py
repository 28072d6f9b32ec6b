"""What lies in customs' own queue may be taken up by customs, whatever it says to a question meanwhile."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from pamqp.common import FieldTable
from sqlalchemy import select

from adapters.backends.amqp import AmqpBackend
from adapters.backends.amqp_exchange import Word, word
from adapters.blobs.filesystem import FilesystemBlobs
from adapters.store.read.message_status import message_status
from adapters.store.tables.messages import deliveries
from adapters.store.write.destinations import SqlDestinations
from adapters.transport.amqp import connection
from gateway.config.connections import AmqpBackendSettings
from gateway.deliver.dispatcher import DispatchConfig, Dispatcher
from gateway.model.blobs import SMALL
from gateway.model.states import DeliveryState
from gateway.operate.message_actions import Impossible, MessageAct, event_of
from tests.support.acts import hold
from tests.support.amqp_backend import WITHIN, backend_settings
from tests.support.rabbitmq import Rabbit
from tests.support.stores import NOW, Store, accept, arrival


@asynccontextmanager
async def customs_that_takes_nothing(
    rabbit: Rabbit, settings: AmqpBackendSettings
) -> AsyncIterator[AbstractChannel]:
    """It hears questions, and leaves its queue as it is: that has room for one submission."""
    async with await aio_pika.connect(rabbit.url(settings.vhost, settings.user)) as ours:
        channel = await ours.channel()
        full: FieldTable = {"x-max-length": 1, "x-overflow": "reject-publish"}
        await channel.declare_queue(settings.submissions, durable=True, arguments=full)
        questions = await channel.declare_queue(settings.questions, durable=True)

        async def reply_unknown(question: AbstractIncomingMessage) -> None:
            reply = word(Word.UNKNOWN, question.correlation_id)
            await channel.default_exchange.publish(reply, question.reply_to or "")
            await question.ack()

        await questions.consume(reply_unknown)
        yield channel


async def until_queued(channel: AbstractChannel, queue: str) -> None:
    """Returns when something lies in the queue."""
    async with asyncio.timeout(WITHIN):
        while (await channel.declare_queue(queue, passive=True)).declaration_result.message_count == 0:
            await asyncio.sleep(0.02)


def test_a_query_that_overtook_the_submission_releases_nothing(
    store: Store, mortal_rabbit: Rabbit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rabbit, now = mortal_rabbit, NOW
    settings = backend_settings(rabbit, tmp_path, rabbit.vhost())
    blobs = FilesystemBlobs(tmp_path / "blobs")
    spool = blobs.spool()
    spool.write(0, bytes(SMALL + 1))
    package = spool.keep()
    sent = replace(arrival(), sha256=package.sha256, size=package.size)

    def delivery() -> tuple[str, bool, str]:
        with store.database.engine.connect() as reader:
            row = reader.execute(select(deliveries).where(deliveries.c.message == sent.id)).one()
            return row.state, row.unsure, row.note

    async def test() -> None:
        await accept(store, sent)
        async with (
            customs_that_takes_nothing(rabbit, settings) as channel,
            AmqpBackend(settings, tmp_path, "customs") as backend,
        ):
            await backend.until_connected()
            config = DispatchConfig(
                outbox=store.outbox,
                destinations=SqlDestinations(store.database),
                backends={"customs": backend},
                limits={},
                budget=timedelta(hours=72),
                blobs=blobs,
                clock=lambda: now,
            )
            dispatch = Dispatcher(config)

            async def attempt() -> None:
                await dispatch.turn()
                await dispatch.idle()

            # The broker has it, and nobody hears that it has.
            monkeypatch.setattr(connection, "CONFIRM_WITHIN", 0.5)
            rabbit.pause(signal.SIGSTOP)
            await attempt()
            rabbit.pause(signal.SIGCONT)
            monkeypatch.undo()
            assert delivery()[:2] == (DeliveryState.UNKNOWN, True)
            await until_queued(channel, settings.submissions)
            # Customs knows nothing of it, and its queue takes no second one now.
            nonlocal now
            now += timedelta(minutes=10)
            await backend.until_connected()
            await attempt()
            assert delivery() == (DeliveryState.UNKNOWN, True, "the broker takes nothing now")

    asyncio.run(test())
    held = store.database.submit(lambda to: hold(to, sent.id, "tests", "why", now))
    held.result()
    with store.database.engine.connect() as reader:
        present = message_status(reader, sent.id)[1]
    with pytest.raises(Impossible):
        event_of(MessageAct.REJECT, present, None)

"""Queues for accounts that have none: the gateway makes them, as far as the broker lets it."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractQueue
from aio_pika.exceptions import ChannelNotFoundEntity
from aiormq.exceptions import ConnectionInternalError
from pamqp.common import FieldTable

from tests.support.amqp import AmqpHome, Platform, next_message, run
from tests.support.declarations import owing_nothing
from tests.support.rabbitmq import ADMIN
from tests.support.rendering import render

ACCOUNT: Final = "broker-b"
QUEUE: Final = "broker-b.receipts"
QUORUM: Final[FieldTable] = {"x-queue-type": "quorum"}


@asynccontextmanager
async def newcomer(amqp: AmqpHome) -> AsyncIterator[AbstractConnection]:
    """An account that has no queue."""
    async with await aio_pika.connect(amqp.rabbit.url(amqp.vhost, ACCOUNT)) as connection:
        await (await connection.channel()).queue_delete(QUEUE)
        yield connection


async def sent(channel: AbstractChannel, body: bytes, message_id: str) -> None:
    exchange = await channel.get_exchange("gateway.in", ensure=False)
    message = aio_pika.Message(body, message_id=message_id, user_id=ACCOUNT, content_type="application/xml")
    await exchange.publish(message, "any.key")


async def made(amqp: AmqpHome, connection: AbstractConnection) -> AbstractQueue:
    """Its queue, waited for. The broker closes the connection of one that reads a quorum queue which has only
    just been declared."""
    while True:
        with suppress(ChannelNotFoundEntity, ConnectionInternalError):
            async with await aio_pika.connect(amqp.rabbit.url(amqp.vhost, ACCOUNT)) as probe:
                channel = await probe.channel()
                await channel.declare_queue(QUEUE, passive=True)
                # What is not acknowledged is there again.
                await (await channel.get_queue(QUEUE, ensure=False)).get(fail=False)
            return await (await connection.channel()).get_queue(QUEUE, ensure=False)


async def final(queue: AbstractQueue, of: str) -> None:
    while True:
        message = await next_message(queue)
        if message.headers.get("final") and message.correlation_id == of:
            return


def log_entries(place: AmqpHome, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in place.gateway.log.read_text("utf-8").splitlines()]
    return [line for line in lines if line["event"] == event]


def test_an_account_gets_its_queue_with_its_first_receipt_and_again_where_it_was_deleted(
    amqp: AmqpHome,
) -> None:
    async def test() -> None:
        async with newcomer(amqp) as connection:
            channel = await connection.channel()
            for number in (1, 2):
                await sent(channel, render(owing_nothing(f"QUEUE000{number}")), f"queue-{number}")
                queue = await made(amqp, connection)
                await channel.declare_queue(QUEUE, durable=True, arguments=QUORUM)  # that is how it is
                await final(queue, f"queue-{number}")
                await queue.delete(if_unused=False, if_empty=False)
            # A message that is not taken is told of as well where nothing hears yet.
            await sent(channel, b"", "queue-3")
            while (receipt := await next_message(await made(amqp, connection))).correlation_id != "queue-3":
                pass
            assert receipt.type == "refused"

    run(test)


def test_a_queue_that_the_account_has_made_otherwise_is_used_as_it_is(amqp: AmqpHome) -> None:
    async def test() -> None:
        async with newcomer(amqp) as connection:
            channel = await connection.channel()
            queue = await channel.declare_queue(QUEUE, arguments={"x-max-priority": 3})
            await sent(channel, render(owing_nothing("OTHERWISE0001")), "otherwise")
            await final(queue, "otherwise")
            await queue.delete(if_unused=False, if_empty=False)

    run(test)


def test_receipts_wait_for_a_queue_that_the_gateway_may_not_declare_and_delay_no_others(
    amqp: AmqpHome,
) -> None:
    before = len(log_entries(amqp, "no queue for receipts"))

    async def test() -> None:
        async with newcomer(amqp) as connection:
            channel = await connection.channel()
            await sent(channel, render(owing_nothing("MAYNOT0001")), "may-not")
            await asyncio.to_thread(
                amqp.gateway.until, lambda: len(log_entries(amqp, "no queue for receipts")) > before
            )
            warning = log_entries(amqp, "no queue for receipts")[-1]
            assert (warning["account"], "ACCESS_REFUSED" in warning["why"]) == (ACCOUNT, True)
            async with await Platform.connect(amqp.rabbit, amqp.vhost) as other:  # makes its queue itself
                await other.send(render(owing_nothing("MAYNOT0002")), "may-not-2")
                await other.final("may-not-2")
            assert log_entries(amqp, "receipts wait")
            await as_told(amqp, warning["do"])
            await final(await made(amqp, connection), "may-not")

    amqp.rabbit.allow(amqp.vhost, "gateway", r"^gateway\\..*", ".*", ".*")
    try:
        run(test)
    finally:
        amqp.rabbit.allow(amqp.vhost, "gateway", ".*", ".*", ".*")


async def as_told(place: AmqpHome, commands: str) -> None:
    """What `rabbitmqadmin` does with these arguments, as an operator of the broker."""
    queue, binding = (dict(re.findall(r"(\w+)=(\S+)", command)) for command in commands.split("; "))
    async with await aio_pika.connect(place.rabbit.url(place.vhost, ADMIN)) as connection:
        there = await (await connection.channel()).declare_queue(
            queue["name"], durable=True, arguments={"x-queue-type": queue["queue_type"]}
        )
        assert binding["destination"] == there.name
        await there.bind(binding["source"], binding["routing_key"])

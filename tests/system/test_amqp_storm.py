"""Many publishers while the broker, or the node, is killed again and again: what was confirmed is receipted.

`make storm` does it with 5,000 messages (`STORM_MESSAGES`), and says how long it took.
"""

import asyncio
import contextlib
import hashlib
import os
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import aio_pika
import pytest
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage
from sqlalchemy import func, select

from adapters.store.tables.messages import receipts
from adapters.store.tables.operations import replies
from tests.support.amqp import XML, AmqpHome, Platform, founded, run
from tests.support.declarations import owing_nothing
from tests.support.invariants import unfinished, violations
from tests.support.rabbitmq import Rabbit
from tests.support.rendering import render

MESSAGES: Final = int(os.environ.get("STORM_MESSAGES", "120"))
PUBLISHERS: Final = 4
AT_ONCE: Final = 10  # messages that one of them has on their way, not yet confirmed
AHEAD: Final = 40  # messages that are confirmed and not yet receipted, unless something is about to die
DEATHS: Final = 2
ACCOUNT: Final = "broker-aa"
PATIENCE: Final = 60 + MESSAGES * 0.4  # seconds


class Storm:
    """Publishers that send everything until it is confirmed, and one who hears the receipts."""

    def __init__(self, place: AmqpHome) -> None:
        self.place = place
        self.waiting = [f"STORM{number:05}" for number in reversed(range(MESSAGES))]
        self.confirmed: set[str] = set()
        self.finals: defaultdict[str, set[str]] = defaultdict(
            set
        )  # digests of receipts, by what they are for
        self.resent = 0
        self.under_way = 0
        self.pouring = False

    async def __call__(self, disaster: Callable[[], Awaitable[None]]) -> None:
        async with asyncio.TaskGroup() as work:
            hearing = work.create_task(self._hear())
            for _ in range(PUBLISHERS):
                work.create_task(self._publish())
            for number in range(1, DEATHS + 1):
                while len(self.confirmed) < MESSAGES * number // (DEATHS + 1):
                    await asyncio.sleep(0.02)
                self.pouring = True
                while self.waiting and not self.under_way:
                    await asyncio.sleep(0)
                await disaster()
                self.pouring = False
            while len(self.finals) < MESSAGES:
                await asyncio.sleep(0.05)
            hearing.cancel()

    async def _publish(self) -> None:
        while len(self.confirmed) < MESSAGES:
            async with await self._connected() as connection:
                with contextlib.suppress(Exception):  # whatever the broker's death does to its clients
                    channel = await connection.channel(on_return_raises=True)
                    exchange = await channel.get_exchange("gateway.in", ensure=False)
                    await asyncio.gather(*(self._send(exchange) for _ in range(AT_ONCE)))
            await asyncio.sleep(0.05)

    async def _send(self, exchange: aio_pika.abc.AbstractExchange) -> None:
        while self.waiting:
            if not self.pouring and len(self.confirmed) - len(self.finals) > AHEAD:
                await asyncio.sleep(0.05)
                continue
            message_id = self.waiting.pop()
            message = aio_pika.Message(
                render(owing_nothing(message_id)),
                content_type=XML,
                delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                user_id=ACCOUNT,
                message_id=message_id,
            )
            self.under_way += 1
            try:
                await exchange.publish(message, "storm", timeout=10)
            except BaseException:
                self.waiting.append(message_id)
                self.resent += 1
                raise
            finally:
                self.under_way -= 1
            self.confirmed.add(message_id)

    async def _hear(self) -> None:
        while True:
            async with await self._connected() as connection:
                with contextlib.suppress(Exception):
                    channel = await connection.channel()
                    await channel.set_qos(prefetch_count=100)
                    closed = asyncio.get_running_loop().create_future()
                    channel.close_callbacks.add(
                        lambda *_, closed=closed: closed.cancelled() or closed.set_result(None)
                    )
                    queue = await channel.get_queue(f"{ACCOUNT}.receipts", ensure=False)
                    await queue.consume(self._heard)
                    await closed
            await asyncio.sleep(0.05)

    async def _heard(self, message: AbstractIncomingMessage) -> None:
        if message.headers.get("final"):
            self.finals[message.correlation_id or ""].add(hashlib.sha256(message.body).hexdigest())
        with contextlib.suppress(Exception):
            await message.ack()

    async def _connected(self) -> AbstractConnection:
        while True:
            with contextlib.suppress(Exception):
                return await aio_pika.connect(self.place.rabbit.url(self.place.vhost, ACCOUNT), timeout=5)
            await asyncio.sleep(0.2)


@pytest.mark.parametrize("dies", ["the broker", "the node"])
def test_messages_confirmed_while_processes_are_killed_have_one_final_receipt_each(
    mortal_rabbit: Rabbit, tmp_path: Path, dies: str
) -> None:
    place = founded(tmp_path, mortal_rabbit)

    async def disaster() -> None:
        if dies == "the broker":
            mortal_rabbit.kill_at_once()
            await asyncio.to_thread(mortal_rabbit.start)
        else:
            await asyncio.to_thread(place.gateway.kill)
            await asyncio.to_thread(place.gateway.start)

    storm = Storm(place)

    async def test() -> None:
        async with await Platform.connect(mortal_rabbit, place.vhost):
            pass  # its queue stands now
        await asyncio.to_thread(mortal_rabbit.note_queues)
        await storm(disaster)

    with place.gateway:
        place.until_connected()
        began = time.monotonic()
        run(test, PATIENCE)
        receipted = time.monotonic() - began
        place.gateway.until(lambda: not unfinished(place.gateway.home), PATIENCE)
        assert not violations(place.gateway.home)
        expected = {f"STORM{number:05}" for number in range(MESSAGES)}
        assert storm.confirmed == expected
        assert storm.resent or dies != "the broker"
        assert storm.finals.keys() == expected
        # A message that its sender gave twice has its receipts again, byte for byte.
        assert {len(bodies) for bodies in storm.finals.values()} == {1}
        stored = _finals(place)
        assert stored == dict.fromkeys(expected, 1)
        print(
            f"storm: {dies} killed {DEATHS} times, {MESSAGES} messages confirmed and receipted in "
            f"{receipted:.0f} s, {storm.resent} sent again"
        )


def _finals(place: AmqpHome) -> dict[str, int]:
    """How many different final receipts the store has, by the message id of what they are for."""
    query = (
        select(replies.c.message_id, func.count(func.distinct(receipts.c.body)))
        .join(receipts, receipts.c.message == replies.c.message)
        .where(receipts.c.final)
        .group_by(replies.c.message_id)
    )
    with place.gateway.reading() as store:
        return {row[0]: row[1] for row in store.execute(query)}

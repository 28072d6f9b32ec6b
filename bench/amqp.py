"""End-to-end throughput over AMQP on all cores, beside a bare loop of the same job in the same run.

Signed declarations without PDFs are published to `gateway.in`, with confirms, a hundred in flight at a time;
a real `gateway serve` delivers them to `gateway customs serve --amqp` over the same private RabbitMQ and
sends receipts back. Measured from the first publish to the last final receipt at the platform, and to the
last declaration that customs closed (R). Platform, broker, customs and node share the cores; the limit has
them to itself. The CPU time of each is that of the same period.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from adapters.home.home import Home
from bench import processes
from bench.customs import over_amqp, serving_customs
from bench.harness import home
from bench.job.inputs import Input
from bench.limit import Loops
from bench.rounds import Round, Tables, parts
from bench.serving import PATIENCE, Progress, serving, when
from bench.traffic import ACCOUNT, SIZES, TYPES, Broker, Sent
from tests.support.rabbitmq import Rabbit, section

ROUNDS: Final = 3
MESSAGES: Final = 300
LIMIT_SECONDS: Final = 1.5
AT_ONCE: Final = 100
_DELIVERY: Final = '[[party]]\ncode = "{code}"\n[party.account]\nname = "{account}"\ndelivery = "amqp"\n'


def main() -> None:
    made = Tables("amqp", "AMQP in, customs over AMQP, receipts out, beside a bare loop of the job")
    with course() as running:
        for size in SIZES:
            given = running.loops.inputs(size, "signed")
            made.add(f"{size} signed", [running.run(size, given, number) for number in range(ROUNDS)])
    made.show()


@contextmanager
def course() -> Iterator["Course"]:
    with home() as base, Rabbit() as rabbit:
        vhost = set_up(base, rabbit)
        with Loops(base) as loops, serving(base) as served, serving_customs(base) as customs:
            until_consumed(rabbit, vhost)
            clocks = {**parts(served, customs, rabbit), "sender": time.process_time}
            yield Course(base, loops, rabbit.url(vhost, ACCOUNT), clocks)


def set_up(base: Home, rabbit: Rabbit) -> str:
    """Configures channel and customs of the home for the broker; returns the virtual host."""
    vhost = over_amqp(base, rabbit)
    with (base.path / "gateway.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n{section(rabbit.settings(base.path, vhost))}")
    party = base.path / "delivery.toml"
    party.write_text(_DELIVERY.format(code="1207980011", account=ACCOUNT))
    command = [sys.executable, "-m", "cli", "parties", "import", str(party), "--reason", "bench"]
    environment = {**os.environ, "GATEWAY_HOME": str(base.path)}
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return vhost


def until_consumed(rabbit: Rabbit, vhost: str) -> None:
    """Returns when the gateway takes messages: it is ready before it has connected to the broker."""
    until = time.perf_counter() + PATIENCE
    while "\ngateway.in\t" not in rabbit.ctl("list_consumers", "-p", vhost):
        assert time.perf_counter() < until, "the gateway does not consume"


@dataclass(frozen=True, slots=True)
class Course:
    """A served home, and the processes for the limit."""

    home: Home
    loops: Loops
    url: str
    clocks: Mapping[str, processes.Clock]

    def run(self, size: str, given: Sequence[Input], number: int) -> Round:
        broker, label = Broker(self.home), f"{size.split()[0]}K-{number}"
        sent = [broker.bare(size, f"A{label}-{each}") for each in range(MESSAGES)]
        before = self.loops.limit(given, LIMIT_SECONDS)
        progress = Progress(self.home)
        with processes.spent(self.clocks) as spent:
            begun, receipted_at = asyncio.run(sent_and_receipted(self.url, sent))
            closed_at = when(progress.closed_by_customs, MESSAGES)
        assert progress.refused() == 0
        after = self.loops.limit(given, LIMIT_SECONDS)
        return Round.of(MESSAGES, begun, receipted_at, closed_at, (before, after), spent)


async def sent_and_receipted(url: str, sent: Sequence[Sent]) -> tuple[float, float]:
    """Time of the start, and of the last final receipt (perf_counter)."""
    missing = {each.name for each in sent}
    all_there = asyncio.Event()
    async with await aio_pika.connect(url) as receiving, await aio_pika.connect(url) as sending:
        channel = await receiving.channel()
        await channel.set_qos(prefetch_count=AT_ONCE)
        replies = await channel.declare_queue(f"{ACCOUNT}.bench", durable=True)

        async def heard(receipt: AbstractIncomingMessage) -> None:
            await receipt.ack()
            if receipt.headers.get("final"):
                missing.discard(receipt.correlation_id or "")
            if not missing:
                all_there.set()

        await replies.consume(heard)
        declarations = await (await sending.channel()).get_exchange("gateway.in", ensure=False)
        turns = asyncio.Semaphore(AT_ONCE)

        async def publish(each: Sent) -> None:
            async with turns:
                message = aio_pika.Message(
                    each.body,
                    content_type=TYPES[Path(each.name).suffix],
                    delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                    user_id=ACCOUNT,
                    message_id=each.name,
                    reply_to=replies.name,
                )
                await declarations.publish(message, "bench")

        begun = time.perf_counter()
        await asyncio.gather(*map(publish, sent))
        await asyncio.wait_for(all_there.wait(), PATIENCE)
        return begun, time.perf_counter()

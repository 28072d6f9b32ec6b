"""End-to-end throughput over AMQP on all cores, beside judging alone on all cores in the same run.

Signed declarations without PDFs are published to `gateway.in`, with confirms, a hundred in flight at a time;
a real `gateway serve` delivers them to `gateway customs serve --amqp` over the same private RabbitMQ and
sends receipts back. Measured from the first publish to the last final receipt at the platform, and to the
last declaration that customs closed (R). Platform, broker, customs and node share the cores; the limit has
them to itself.
"""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Final

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from adapters.home.home import Home
from bench.harness import home
from bench.limit import Judges
from bench.report import show, table
from bench.serving import PATIENCE, Progress, serving, when
from bench.traffic import ACCOUNT, SIZES, Broker, Sent
from tests.support.rabbitmq import Rabbit, section

ROUNDS: Final = 3
MESSAGES: Final = 300
LIMIT_SECONDS: Final = 1.5
AT_ONCE: Final = 100
_DELIVERY: Final = '[[party]]\ncode = "{code}"\n[party.account]\nname = "{account}"\ndelivery = "amqp"\n'


def main() -> None:
    rows = table(
        "amqp: AMQP in, customs over AMQP, receipts out, beside judging alone on all cores",
        *("message", "receipted /s", "closed /s", "limit /s", "receipted", "closed"),
    )
    with home() as base, Rabbit() as rabbit:
        url = rabbit.url(_set_up(base, rabbit), ACCOUNT)
        judges = Judges(base)
        try:
            with serving(base), _customs(base):
                for size in SIZES:
                    found = [_round(base, judges, url, size, number) for number in range(ROUNDS)]
                    rows.add_row(
                        f"{size} signed",
                        *(f"{median(each[at] for each in found):.0f}" for at in range(3)),
                        *(f"{median(each[at] / each[2] for each in found):.2f}" for at in range(2)),
                    )
        finally:
            judges.close()
    show(rows)


def _set_up(base: Home, rabbit: Rabbit) -> str:
    """Configures channel and customs of the home for the broker; returns the virtual host."""
    vhost = rabbit.vhost(ACCOUNT)
    settings = rabbit.settings(base.path, vhost)
    file = base.path / "gateway.toml"
    lines = section(settings, "backend.customs").splitlines()
    customs = [line for line in lines if not line.startswith(("prefetch", "delivery_limit"))]
    at_home, found = re.subn(
        r'^\[backend\.customs\]\nkind = "reference".*$',
        lambda _: "\n".join([*customs, 'kind = "amqp"']),
        file.read_text("utf-8"),
        flags=re.MULTILINE,
    )
    assert found == 1
    file.write_text(f"{at_home}\n{section(settings)}", "utf-8")
    party = base.path / "delivery.toml"
    party.write_text(_DELIVERY.format(code="1207980011", account=ACCOUNT))
    command = [sys.executable, "-m", "cli", "parties", "import", str(party), "--reason", "bench"]
    subprocess.run(command, env={**os.environ, "GATEWAY_HOME": str(base.path)}, check=True)
    return vhost


@contextmanager
def _customs(base: Home) -> Iterator[None]:
    command = [sys.executable, "-m", "cli", "customs", "serve", "--amqp", "--home", str(base.path)]
    with (base.path / "customs.log").open("wb") as log:
        customs = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
    try:
        assert customs.stdout is not None
        assert customs.stdout.readline(), (base.path / "customs.log").read_text()[-2000:]
        yield
    finally:
        customs.terminate()
        customs.wait()


def _round(base: Home, judges: Judges, url: str, size: str, number: int) -> tuple[float, float, float]:
    """Receipted, closed and limit, in messages a second."""
    broker, label = Broker(base), f"{size.split()[0]}K-{number}"
    sent = [broker.bare(size, f"A{label}-{each}") for each in range(MESSAGES)]
    others = [broker.bare(size, f"L{label}-{each}") for each in range(8)]
    progress = Progress(base)
    closed = progress.closed_by_customs()
    limit = judges.rate(others, LIMIT_SECONDS)
    begun, receipted_at = asyncio.run(_sent_and_receipted(url, sent))
    closed_at = when(progress.closed_by_customs, closed + MESSAGES)
    assert progress.refused() == 0
    limit = (limit + judges.rate(others, LIMIT_SECONDS)) / 2
    return MESSAGES / (receipted_at - begun), MESSAGES / (closed_at - begun), limit


async def _sent_and_receipted(url: str, sent: Sequence[Sent]) -> tuple[float, float]:
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
                    content_type="application/xml",
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

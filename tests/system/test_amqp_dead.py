"""The program of `docs/runbook.md` for messages that were put aside, run as it stands there."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import aio_pika
import pytest

from docs.generate import ROOT
from tests.amqp import LARGEST, Place, Platform, dead, over_amqp, run
from tests.declarations import owing_nothing
from tests.rabbitmq import Rabbit
from tests.rendering import render

ENTRY = (ROOT / "docs" / "runbook.md").read_text("utf-8").partition("## Messages lie in gateway.dead")[2]


@pytest.fixture(scope="module")
def program(amqp: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, and the user for it with the rights that stand there."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", ENTRY, re.MULTILINE | re.DOTALL)
    path = tmp_path_factory.mktemp("program") / "dead.py"
    path.write_text(code)
    for line in re.findall(r"^rabbitmqctl (.*)$", ENTRY, re.MULTILINE):
        words = [word.strip("'") for word in line.replace(" customs ", f" {amqp.vhost} ").split()]
        amqp.rabbit.ctl(*words)
    return path


def lying(program: Path, rabbit: Rabbit, vhost: str, *again: str, queue: str = "gateway.dead") -> str:
    """What the program prints of them."""
    broker = f"amqp://operator:operator-password@{rabbit.host}:{rabbit.port}/{vhost}"
    done = subprocess.run(
        [sys.executable, "-W", "error", str(program), broker, queue, *again],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_a_message_is_given_back_in_its_senders_name_when_the_cause_is_mended(
    amqp: Place, program: Path
) -> None:
    amqp.rabbit.allow(amqp.vhost, "trader-b", r"^trader-b\\..*", ".*", ".*")

    async def test() -> None:
        async with await Platform.connect(amqp.rabbit, amqp.vhost, "trader-b") as early:
            body = render(owing_nothing("DEAD0001"))
            await early.send(body, "dead-1", correlation_id="order", headers={"name": "dead-1.xml"})
            await early.send(b"", "dead-2", correlation_id="dead-2")
            while "'dead-2' 'trader-b' 0 amqp-user" not in (
                printed := await asyncio.to_thread(lying, program, amqp.rabbit, amqp.vhost)
            ):
                pass
            assert f"'dead-1' 'trader-b' {len(body)} amqp-user" in printed
            await asyncio.to_thread(over_amqp, amqp.gateway, ["trader-b"])
            await asyncio.to_thread(lying, program, amqp.rabbit, amqp.vhost, "dead-1")
            await early.final("order")
            printed = await asyncio.to_thread(lying, program, amqp.rabbit, amqp.vhost)
            assert ("'dead-1'" in printed, "'dead-2'" in printed) == (False, True)
            await dead(amqp.rabbit, amqp.vhost, "dead-2")

    run(test)


def test_what_the_broker_put_aside_itself_is_shown_with_its_reason_and_stays(
    amqp: Place, program: Path
) -> None:
    async def test() -> None:
        async with await Platform.connect(amqp.rabbit, amqp.vhost) as platform:
            await platform.send(bytes(LARGEST + 1), "dead-3", correlation_id="dead-3")
            await platform.refusal("dead-3")
            for _ in range(2):
                printed = await asyncio.to_thread(lying, program, amqp.rabbit, amqp.vhost)
                assert f"'dead-3' 'broker-aa' {LARGEST + 1} by the broker: ['rejected']" in printed
            await dead(amqp.rabbit, amqp.vhost, "dead-3")

    run(test)


def test_an_answer_of_customs_is_given_back_to_where_it_came_from(amqp: Place, program: Path) -> None:
    async def test() -> None:
        async with await aio_pika.connect(amqp.rabbit.url(amqp.vhost, "gateway")) as connection:
            channel = await connection.channel()
            answers = await channel.declare_queue("customs.answers", durable=True)
            aside = await channel.declare_queue("customs.answers.dead", durable=True)
            message = aio_pika.Message(b"<a/>", message_id="1", headers={"name": "a.xml", "reason": "large"})
            await channel.default_exchange.publish(message, aside.name)
            printed = await asyncio.to_thread(lying, program, amqp.rabbit, amqp.vhost, "1", queue=aside.name)
            assert printed == "'1' '' 4 large\n"
            back = await answers.get(no_ack=True)
            assert (back.body, back.headers) == (b"<a/>", {"name": "a.xml"})
            assert await aside.get(fail=False) is None

    run(test)

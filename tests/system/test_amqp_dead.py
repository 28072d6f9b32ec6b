"""`gateway amqp dead` at a real broker, by the user that `docs/runbook.md` makes for it."""

import asyncio
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from sqlalchemy import select

from adapters.store.tables.messages import events
from adapters.store.write.in_force import NODE
from adapters.transport.amqp.aside import DeadLetterQueue, browse, put_back
from docs.generate import ROOT
from tests.support.amqp import LARGEST, AmqpHome, Platform, dead, over_amqp, run
from tests.support.declarations import owing_nothing
from tests.support.rendering import render

ENTRY = (ROOT / "docs" / "runbook.md").read_text("utf-8").partition("## Messages lie in gateway.dead")[2]
ACTS = select(events.c.event, events.c.detail).where(events.c.message == NODE)
PATIENCE = 300.0  # commands take seconds each where the machine is busy


@pytest.fixture(scope="module")
def login(amqp: AmqpHome, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The user of the runbook, with the rights that stand there."""
    for line in re.findall(r"^rabbitmqctl (.*)$", ENTRY, re.MULTILINE):
        words = [word.strip("'") for word in line.replace(" customs ", f" {amqp.vhost} ").split()]
        amqp.rabbit.ctl(*words)
    password = tmp_path_factory.mktemp("login") / "operator.password"
    password.write_text("operator-password\n")
    return ("--user", "operator", "--password-file", str(password))


@pytest.fixture
def command(amqp: AmqpHome) -> Callable[..., subprocess.CompletedProcess[str]]:
    return lambda *arguments: amqp.gateway.cli("amqp", "dead", *arguments)


def aside(amqp: AmqpHome, queue: str = "gateway.dead", exchange: str = "gateway.in") -> DeadLetterQueue:
    settings = amqp.gateway.home.settings().amqp
    assert settings is not None
    return DeadLetterQueue(
        broker=settings,
        home=amqp.gateway.home.path,
        user=settings.user,
        password=amqp.gateway.home.path / settings.password_file,
        queue=queue,
        exchange=exchange,
        key=queue.removesuffix(".dead"),
    )


async def dead_letters(amqp: AmqpHome, *message_ids: str) -> list[dict[str, Any]]:
    """What lies in gateway.dead, when all that is wanted does."""
    while True:
        async with browse(aside(amqp)) as view:
            if {letter["message_id"] for letter in view.facts} >= set(message_ids):
                return view.facts


def test_dead_letters_are_listed_shown_returned_and_dropped_with_a_reason(
    amqp: AmqpHome,
    login: tuple[str, ...],
    command: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    amqp.rabbit.allow(amqp.vhost, "trader-b", r"^trader-b\\..*", ".*", ".*")
    into = tmp_path / "dropped"

    async def test() -> None:
        async with await Platform.connect(amqp.rabbit, amqp.vhost, "trader-b") as early:
            body = render(owing_nothing("DEAD0001"))
            await early.send(body, "dead-1", correlation_id="order", headers={"name": "dead-1.xml"})
            await early.send(b"two", "dead-2")
            await dead_letters(amqp, "dead-1", "dead-2")
            result = await asyncio.to_thread(command, "list", "--json")
            listed = {row["message_id"]: row for row in json.loads(result.stdout)}
            one, two = listed["dead-1"], listed["dead-2"]
            assert (one["user"], one["size"], one["reason"]) == ("trader-b", len(body), "amqp-user")
            assert one["name"] == "dead-1.xml"
            raw = await asyncio.to_thread(command, "show", two["id"], "--raw")
            assert raw.stdout == "two"

            # The gateway's own log-in may not speak for others: nothing is lost by trying.
            why = ("--reason", "their account is registered")
            refused = await asyncio.to_thread(command, "return", "dead-1", *why)
            assert refused.returncode == 3, refused.stderr
            without_reason = await asyncio.to_thread(command, "return", "dead-1", "--reason", " ", *login)
            assert without_reason.returncode == 2
            await dead_letters(amqp, "dead-1", "dead-2")
            await asyncio.to_thread(over_amqp, amqp.gateway, ["trader-b"])
            result = await asyncio.to_thread(command, "return", "dead-1", *why, *login)
            assert result.returncode == 0, result.stderr
            await early.final("order")

            drop = ("drop", two["id"], "--to", str(into), "--reason", "sent again")
            into.touch()
            there = await asyncio.to_thread(command, *drop)
            assert there.returncode == 2, there.stderr
            into.unlink()
            dropped = await asyncio.to_thread(command, *drop)
            assert dropped.returncode == 0, dropped.stderr
            assert (into.read_bytes(), into.stat().st_mode & 0o777) == (b"two", 0o600)
            left = {letter["message_id"] for letter in await dead_letters(amqp)}
            assert not left & {"dead-1", "dead-2"}
            gone = await asyncio.to_thread(command, "show", "dead-2")
            assert gone.returncode == 1

    run(test, PATIENCE)
    with amqp.gateway.reading() as reader:
        acts = {row.event: row.detail for row in reader.execute(ACTS)}
    assert json.loads(acts["put-aside-given-back"])["reason"] == "their account is registered"
    assert json.loads(acts["put-aside-dropped"])["of"]["message_id"] == "dead-2"


def test_a_look_costs_nothing_however_often_and_leaves_the_order(amqp: AmqpHome) -> None:
    async def test() -> None:
        async with await aio_pika.connect(amqp.rabbit.url(amqp.vhost, "gateway")) as connection:
            exchange = await (await connection.channel()).get_exchange("gateway.dead", ensure=False)
            sent = [f"look-{number}" for number in range(40)]
            for name in sent:
                await exchange.publish(aio_pika.Message(b"", message_id=name, correlation_id=name), "")
        for _ in range(30):
            letters = [letter["message_id"] for letter in await dead_letters(amqp, *sent)]
            assert [name for name in letters if name in sent] == sent
        for name in sent:
            await dead(amqp.rabbit, amqp.vhost, name)

    run(test, PATIENCE)


def test_a_dead_letter_stays_if_the_process_ends_before_acknowledging_it(amqp: AmqpHome) -> None:
    """Ended between the broker's word and the acknowledgement, as by a kill: it is there twice."""

    async def ended() -> None:
        raise RuntimeError

    async def test() -> None:
        async with await aio_pika.connect(amqp.rabbit.url(amqp.vhost, "gateway")) as connection:
            channel = await connection.channel()
            answers = await channel.declare_queue("left.answers", durable=True)
            dead_queue = await channel.declare_queue("left.answers.dead", durable=True)
            message = aio_pika.Message(b"<a/>", message_id="1", headers={"name": "a.xml", "reason": "large"})
            await channel.default_exchange.publish(message, dead_queue.name)
            place = aside(amqp, dead_queue.name, exchange="")
            with pytest.raises(RuntimeError):
                async with browse(place, "1") as view:
                    await put_back(place, view, ended)
            assert (await answers.get(no_ack=True)).body == b"<a/>"

            async def written() -> None:
                return None

            async with browse(place, "1") as view:
                assert [letter["reason"] for letter in view.facts] == ["large"]
                await put_back(place, view, written)
            back = await answers.get(no_ack=True)
            assert (back.body, back.headers) == (b"<a/>", {"name": "a.xml"})
            assert await dead_queue.get(fail=False) is None

    run(test, PATIENCE)


def test_a_message_that_the_broker_dead_lettered_is_shown_with_its_reason_and_stays(amqp: AmqpHome) -> None:
    async def test() -> None:
        async with await Platform.connect(amqp.rabbit, amqp.vhost) as platform:
            await platform.send(bytes(LARGEST + 1), "dead-3", correlation_id="dead-3")
            await platform.refusal("dead-3")
            for _ in range(2):
                (letters,) = [
                    letter
                    for letter in await dead_letters(amqp, "dead-3")
                    if letter["message_id"] == "dead-3"
                ]
                assert (letters["user"], letters["size"]) == ("broker-aa", LARGEST + 1)
                assert letters["reason"] == "by the broker: rejected"
            await dead(amqp.rabbit, amqp.vhost, "dead-3")

    run(test, PATIENCE)

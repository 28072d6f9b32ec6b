"""A home made of a backup whose customs cannot be asked: what may be there goes again under the same key."""

import asyncio
import json
import re
from pathlib import Path

import aio_pika
from sqlalchemy import select

from adapters.home.home import Home
from adapters.store.tables.messages import deliveries, events
from adapters.store.write.in_force import NODE
from gateway.model.states import DeliveryState
from tests.support.amqp_backend import WITHIN, backend_settings
from tests.support.declarations import Declaration
from tests.support.rabbitmq import Rabbit, section
from tests.support.rendering import render
from tests.support.served import Gateway

BROKER = "broker-aa"


def test_customs_that_cannot_be_asked_is_named_and_sent_the_same_key_again(
    rabbit: Rabbit, tmp_path: Path
) -> None:
    gateway = Gateway(tmp_path)
    settings = backend_settings(rabbit, gateway.home.path, rabbit.vhost(), questions=None)
    toml = gateway.home.path / "gateway.toml"
    ours = section(settings, "backend.customs")
    text = re.sub(
        r'(?m)^\[backend\.customs\]\nkind = "reference".*$', lambda _: ours, toml.read_text("utf-8")
    )
    toml.write_text(text, "utf-8")

    def run(*arguments: object) -> tuple[str, str]:
        done = gateway.cli(*map(str, arguments))
        assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr

    def delivered() -> bool:
        with gateway.reading() as store:
            return set(store.execute(select(deliveries.c.state)).scalars()) == {DeliveryState.DELIVERED}

    async def keys_sent() -> list[str | None]:
        async with await aio_pika.connect(rabbit.url(settings.vhost, settings.user)) as there:
            async with asyncio.timeout(WITHIN):
                queue = await (await there.channel()).get_queue(settings.submissions)
                collected = []
                while (message := await queue.get(no_ack=True, fail=False)) is not None:
                    collected.append(message.message_id)
                return collected

    with gateway:
        run("backends", "pause", "customs", "--reason", "maintenance")
        gateway.send(BROKER, "once.xml", render(Declaration(reference="ONCE000000000001")))
        gateway.until(lambda: len(gateway.inbox(BROKER)) > 0)
        run("backup", tmp_path / "backup")
        run("backends", "resume", "customs", "--reason", "maintained")
        gateway.until(delivered)
        assert gateway.stop() == 0

        first, gateway.home = gateway.home, Home(tmp_path / "restored")
        out, err = run("restore", tmp_path / "backup", "--home", gateway.home.path, "--json")
        assert json.loads(out)["unasked"] == ["customs"]
        assert "customs cannot be asked what it has" in err
        gateway.start()
        run("backends", "resume", "customs", "--reason", "maintained")
        gateway.until(delivered)
        with gateway.reading() as store:
            restored = store.execute(select(events.c.detail).where(events.c.message == NODE)).scalars()
            assert ["customs"] in [json.loads(line).get("unasked") for line in restored]
        assert gateway.stop() == 0
    assert first.path != gateway.home.path
    once, again = asyncio.run(keys_sent())
    assert once == again

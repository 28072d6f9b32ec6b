"""Queues that are missing are made so that no broker drops anything from them, whatever its release."""

import asyncio
import json
import re
from pathlib import Path
from typing import Final

import aio_pika
import pytest

from adapters.backends.amqp import AmqpBackend
from adapters.channels.amqp.reply_queues import AccountQueues, queue_of
from adapters.channels.amqp.topology import DEAD, IN, keeping
from adapters.transport.amqp.connection import BrokerConnection
from adapters.transport.amqp.publishing import PublishResult
from adapters.transport.amqp.queues import unlimited
from tests.support.amqp_backend import WITHIN, backend_settings
from tests.support.rabbitmq import Rabbit

ADAPTERS: Final = Path(__file__).parents[2] / "adapters"


@pytest.mark.parametrize(("version", "limit"), [("3.10.8", None), ("4.0.2", -1), ("11.1", -1), (None, -1)])
def test_the_delivery_limit_is_turned_off_for_brokers_that_drop_redelivered_messages(
    version: object, limit: int | None
) -> None:
    assert unlimited(version).get("x-delivery-limit") == limit


def test_every_queue_that_we_make_has_a_limit_of_ours_or_says_that_it_has_none(
    rabbit: Rabbit, tmp_path: Path
) -> None:
    vhost = rabbit.vhost()
    channel = rabbit.settings(tmp_path, vhost)
    backend = backend_settings(rabbit, tmp_path, vhost)

    async def test() -> None:
        made = keeping(channel.delivery_limit)
        async with (
            asyncio.timeout(WITHIN),
            BrokerConnection(channel, tmp_path, "test", made) as node,
            AmqpBackend(backend, tmp_path, "customs") as customs,
        ):
            await node.until_connected()
            await customs.until_connected()
            receipt = aio_pika.Message(b"", message_id="1")
            assert await AccountQueues(node, node).publish("broker-aa", receipt) is PublishResult.CONFIRMED

    asyncio.run(test())
    listed = rabbit.ctl(
        "list_queues", "-p", vhost, "--formatter", "json", "name", "type", "durable", "arguments"
    )
    version = rabbit.ctl("version").strip()
    delivery_limit = unlimited(version).get("x-delivery-limit")
    limits = {}
    for queue in json.loads(listed):
        assert queue["durable"], queue
        arguments = {name: value for name, _type, value in queue["arguments"]}
        assert arguments["x-queue-type"] == "quorum", queue
        limits[queue["name"]] = arguments.get("x-delivery-limit")
    of_customs = [backend.submissions, backend.answers, f"{backend.answers}.dead", backend.questions]
    others = [DEAD, queue_of("broker-aa"), *of_customs]
    assert limits == {IN: channel.delivery_limit, **dict.fromkeys(others, delivery_limit)}


def test_queue_arguments_are_defined_in_one_module() -> None:
    modules = [
        path
        for path in ADAPTERS.rglob("*.py")
        if re.search("x-(queue-type|delivery-limit)", path.read_text())
    ]
    assert [path.name for path in modules] == ["queues.py"]

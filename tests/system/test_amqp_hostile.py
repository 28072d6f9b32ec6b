"""Messages that were made to hurt: what the library of the channel cannot read stops nobody."""

import asyncio
import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from gateway.model.blobs import SMALL
from gateway.model.faults import Fault
from tests.support.amqp import AmqpHome, Platform, founded, run
from tests.support.rabbitmq import Rabbit
from tests.support.raw_amqp import Properties, field, publish, table

_LATIN: Final = b"caf\xe9"
_UNTIL_REFUSED: Final = 10.0  # seconds: no message has to come again for it


def _nested() -> bytes:
    inside = table()
    for _ in range(1500):
        inside = table(field(b"", b"F", inside))
    return inside


_UNREADABLE: Final = {
    "message_id": Properties(message_id=_LATIN),
    "correlation_id": Properties(message_id=b"id", correlation_id=_LATIN),
    "content_type": Properties(message_id=b"id", content_type=_LATIN),
    "name of a header": Properties(message_id=b"id", headers=table(field(_LATIN, b"t", b"\1"))),
    "header in a header": Properties(message_id=b"id", headers=_nested()),
    "time in a header": Properties(message_id=b"id", headers=table(field(b"t", b"T", b"\x7f" * 8))),
    "text in a header": Properties(
        message_id=b"id", headers=table(field(b"name", b"S", struct.pack(">I", 4) + _LATIN))
    ),
}


@pytest.mark.parametrize("case", _UNREADABLE)
def test_a_message_that_cannot_be_read_is_put_aside_at_once_and_its_sender_is_notified(
    amqp: AmqpHome, case: str
) -> None:
    properties = replace(_UNREADABLE[case], user_id=b"broker-aa")
    reason = {
        "content_type": Fault.AMQP_CONTENT_TYPE,
        "text in a header": Fault.AMQP_NAME,
    }.get(case, Fault.AMQP_UNREADABLE)

    async def test() -> None:
        async with await Platform.connect(amqp.rabbit, amqp.vhost) as platform:
            await platform.receipts.purge()
            publish(amqp.rabbit, amqp.vhost, "broker-aa", b"<a/>", properties)
            while (message := await platform.hear()).type != "refused":
                pass
            assert message.headers["x-reason"] == reason.code

    run(test, _UNTIL_REFUSED)


_NOT_WRITTEN_AGAIN: Final = {
    "message_id": (Properties(message_id=b"\xff" * 255), Fault.AMQP_UNREADABLE),
    "correlation_id": (Properties(message_id=b"id", correlation_id=b"\xff" * 255), Fault.AMQP_UNREADABLE),
    "content_type": (Properties(message_id=b"id", content_type=b"\xff" * 255), Fault.AMQP_CONTENT_TYPE),
    "number in a header": (
        Properties(message_id=None, headers=table(field(b"n", b"d", struct.pack(">d", 1e300)))),
        Fault.AMQP_MESSAGE_ID,
    ),
    "headers of a whole frame": (
        Properties(
            message_id=b"id",
            content_type=b"text/plain",
            headers=table(field(b"long", b"S", struct.pack(">I", 130_800) + bytes(130_800))),
        ),
        Fault.AMQP_CONTENT_TYPE,
    ),
}


@pytest.mark.parametrize("case", _NOT_WRITTEN_AGAIN)
def test_a_message_that_cannot_be_republished_is_put_aside_by_the_broker_and_its_sender_is_notified(
    amqp: AmqpHome, case: str
) -> None:
    properties, reason = _NOT_WRITTEN_AGAIN[case]
    before = connections_lost(amqp)

    async def test() -> None:
        async with await Platform.connect(amqp.rabbit, amqp.vhost) as platform:
            await platform.receipts.purge()
            publish(amqp.rabbit, amqp.vhost, "broker-aa", b"<a/>", replace(properties, user_id=b"broker-aa"))
            while (message := await platform.hear()).type != "refused":
                pass
            assert message.headers["x-reason"] == reason.code

    run(test, _UNTIL_REFUSED)
    assert connections_lost(amqp) == before


def connections(amqp: AmqpHome) -> list[tuple[str, str]]:
    """Which were connected and lost, in order."""
    logged = [json.loads(line) for line in amqp.gateway.log.read_text("utf-8").splitlines()]
    return [(entry["event"], entry["connection"]) for entry in logged if entry["event"].startswith("broker ")]


def connections_lost(amqp: AmqpHome) -> list[str]:
    return [name for event, name in connections(amqp) if event == "broker lost"]


def connected_again(amqp: AmqpHome) -> bool:
    return [event for event, name in connections(amqp) if name == "gateway replying"][
        -1
    ] == "broker connected"


def test_a_direct_reply_that_was_made_up_ends_no_connection_that_others_need(amqp: AmqpHome) -> None:
    before = connections_lost(amqp)
    made_up = {
        name: b"amq.rabbitmq.reply-to." + rest
        for name, rest in (("one", b"g1hkAA.x"), ("two", b"."), ("three", b"g2dkAA.xyz=="))
    }

    async def test() -> None:
        async with await Platform.connect(amqp.rabbit, amqp.vhost) as platform:
            for name, reply_to in made_up.items():
                properties = Properties(message_id=name.encode(), reply_to=reply_to, user_id=b"broker-aa")
                publish(amqp.rabbit, amqp.vhost, "broker-aa", b"<a/>", properties)
            collected = set[tuple[str | None, str | None]]()
            while len(collected) < 2 * len(made_up):  # the signed receipt and the one for software, of each
                message = await platform.hear()
                if message.correlation_id in made_up:
                    collected.add((message.correlation_id, message.type))

    run(test, _UNTIL_REFUSED)
    amqp.gateway.until(lambda: connections_lost(amqp) != before and connected_again(amqp))
    assert set(connections_lost(amqp)[len(before) :]) == {"gateway replying"}


def test_an_account_whose_queue_takes_nothing_stands_before_nobody(amqp: AmqpHome) -> None:
    async def test() -> None:
        async with (
            await Platform.connect(amqp.rabbit, amqp.vhost) as platform,
            await Platform.connect(amqp.rabbit, amqp.vhost, "broker-b") as other,
        ):
            full = await platform.channel.declare_queue(
                "broker-aa.full", arguments={"x-max-length": 0, "x-overflow": "reject-publish"}
            )
            for number in range(120):  # more than are posted at once
                await platform.send(b"<a/>", f"full-{number}", reply_to=full.name)
            await other.send(b"<a/>", "not full")
            await other.final("not full")
            await full.delete(if_unused=False, if_empty=False)
            await platform.final("full-119")

    run(test)


_TAKEN: Final = {
    "routing key": (Properties(), _LATIN),
    "timestamp": (Properties(timestamp=b"\x7f" * 8), b"x"),
}


@pytest.mark.parametrize("case", _TAKEN)
def test_properties_that_the_gateway_does_not_use_may_have_any_value(amqp: AmqpHome, case: str) -> None:
    properties, key = _TAKEN[case]

    async def test() -> None:
        async with await Platform.connect(amqp.rabbit, amqp.vhost) as platform:
            whole = replace(properties, user_id=b"broker-aa", message_id=case.encode())
            publish(amqp.rabbit, amqp.vhost, "broker-aa", b"<a/>", whole, key)
            await platform.final(case)

    run(test, _UNTIL_REFUSED)


def test_a_message_that_the_store_cannot_take_now_is_not_put_aside(rabbit: Rabbit, tmp_path: Path) -> None:
    place = founded(tmp_path, rabbit)
    place.gateway.configure("delivery_limit", "1")

    async def test() -> None:
        spools = place.gateway.home.blobs / "spool"
        async with await Platform.connect(place.rabbit, place.vhost) as platform:
            away = spools.rename(spools.with_name("away"))
            await platform.send(b"<a/>" + b" " * SMALL, "sound")
            log = place.gateway.log
            await asyncio.to_thread(
                place.gateway.until, lambda: log.read_text("utf-8").count("message not taken") >= 3
            )
            away.rename(spools)
            await platform.final("sound")

    with place.gateway:
        place.until_connected()
        run(test)

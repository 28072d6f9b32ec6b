"""Messages that were made to hurt: what the library of the channel cannot read stops nobody."""

import asyncio
import struct
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from gateway.faults import Fault
from tests.amqp import Place, Platform, founded, run
from tests.rabbitmq import Rabbit
from tests.raw_amqp import Properties, field, publish, table

_LATIN: Final = b"caf\xe9"
_UNTIL_TOLD: Final = 10.0  # seconds: no message has to come again for it


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
def test_what_cannot_be_read_is_put_aside_at_once_and_its_sender_told(amqp: Place, case: str) -> None:
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

    run(test, _UNTIL_TOLD)


_TAKEN: Final = {
    "routing key": (Properties(), _LATIN),
    "timestamp": (Properties(timestamp=b"\x7f" * 8), b"x"),
}


@pytest.mark.parametrize("case", _TAKEN)
def test_what_says_nothing_to_the_gateway_may_be_anything(amqp: Place, case: str) -> None:
    properties, key = _TAKEN[case]

    async def test() -> None:
        async with await Platform.connect(amqp.rabbit, amqp.vhost) as platform:
            whole = replace(properties, user_id=b"broker-aa", message_id=case.encode())
            publish(amqp.rabbit, amqp.vhost, "broker-aa", b"<a/>", whole, key)
            await platform.final(case)

    run(test, _UNTIL_TOLD)


def test_what_cannot_be_stored_for_a_while_is_not_put_aside(rabbit: Rabbit, tmp_path: Path) -> None:
    place = founded(tmp_path, rabbit)
    place.gateway.configure("delivery_limit", "1")

    async def test() -> None:
        spools = place.gateway.home.blobs / "spool"
        async with await Platform.connect(place.rabbit, place.vhost) as platform:
            away = spools.rename(spools.with_name("away"))
            await platform.send(b"<a/>", "sound")
            log = place.gateway.log
            await asyncio.to_thread(
                place.gateway.until, lambda: log.read_text("utf-8").count("message not taken") >= 3
            )
            away.rename(spools)
            await platform.final("sound")

    with place.gateway:
        place.until_connected()
        run(test)

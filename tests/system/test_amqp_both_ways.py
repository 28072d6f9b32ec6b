"""AMQP from end to end: a platform, the gateway and customs, each a process that knows only the broker."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest
from aio_pika.abc import AbstractIncomingMessage

from adapters.cli.exit_codes import UNREACHABLE
from adapters.home.clock import utc_now
from gateway.formats.xml import trusted
from tests.support.amqp import AmqpHome, Platform, connected, run
from tests.support.amqp_backend import backend_settings
from tests.support.declarations import Declaration
from tests.support.invariants import unfinished, violations
from tests.support.keys import xmlsec1_trusts
from tests.support.rabbitmq import Rabbit, section
from tests.support.receipts import NS
from tests.support.rendering import render
from tests.support.served import Gateway, customs_served

BROKER: Final = "broker-aa"
TRADER: Final = "trader-a"
# All that is told of a declaration which is released and closed, as over SFTP (test_receipts_to_others).
EXPECTED_TYPES: Final = {
    BROKER: Counter(gateway=1, technical=1, business=4),
    TRADER: Counter(business=4, notice=4),
}


@pytest.fixture(scope="module")
def place(rabbit: Rabbit, tmp_path_factory: pytest.TempPathFactory) -> AmqpHome:
    """A home, not served yet, with the channel and customs in one virtual host, and whose receipts of both
    the broker and its trader go out over it."""
    gateway = Gateway(tmp_path_factory.mktemp("both"))
    place = AmqpHome(gateway, rabbit, rabbit.vhost(BROKER, TRADER))
    connected(gateway, rabbit.settings(gateway.home.path, place.vhost), (BROKER, TRADER))
    customs = backend_settings(rabbit, gateway.home.path, place.vhost)
    settings = gateway.home.path / "gateway.toml"
    text, replaced = re.subn(
        r'^\[backend\.customs\]\nkind = "reference".*$',
        lambda _: section(customs, "backend.customs"),
        settings.read_text("utf-8"),
        flags=re.MULTILINE,
    )
    assert replaced == 1
    settings.write_text(text, "utf-8")
    return place


@contextmanager
def customs(place: AmqpHome) -> Iterator[None]:
    home = place.gateway.home.path
    with customs_served(home, "--amqp", "--home", str(home)) as ready:
        assert ready["amqp"] == f"{place.rabbit.host}:{place.rabbit.port}"
        yield


async def messages_about(platform: Platform, about: str) -> list[AbstractIncomingMessage]:
    """What the account is told of a declaration, until that is all; without requests for documents."""
    received: list[AbstractIncomingMessage] = []
    while Counter(answer.type for answer in received) != EXPECTED_TYPES[platform.account]:
        message = await platform.hear()
        if message.headers["reference"] == about and message.type != "request":
            received.append(message)
    return received


def test_a_declaration_is_released_and_its_broker_and_trader_are_notified_over_amqp_alone(
    place: AmqpHome,
) -> None:
    async def test() -> None:
        async with (
            await Platform.connect(place.rabbit, place.vhost, BROKER) as platform,
            await Platform.connect(place.rabbit, place.vhost, TRADER) as trader,
        ):
            await platform.send(
                render(Declaration(reference="BOTHWAYS1")), "both-1", correlation_id="order 9"
            )
            receipts = await messages_about(platform, "BOTHWAYS1")
            notices = [
                message for message in await messages_about(trader, "BOTHWAYS1") if message.type == "notice"
            ]
        # The sender's own word comes back with each; the trader sent nothing, and has none.
        assert {receipt.correlation_id for receipt in receipts} == {"order 9"}
        assert {notice.correlation_id for notice in notices} == {None}
        assert [receipt.headers["verdict"] for receipt in receipts if receipt.headers["final"]] == [
            "accepted"
        ]
        certificate = place.gateway.home.certificate.read_text()
        assert all(xmlsec1_trusts(notice.body, certificate, utc_now()) for notice in notices)
        element = sorted(str(trusted(notice.body).findtext("g:Class", namespaces=NS)) for notice in notices)
        assert element == ["closed", "released", "reviewed", "stored"]

    with place.gateway, customs(place):
        place.until_connected()
        run(test, 60)
        place.gateway.until(lambda: not unfinished(place.gateway.home))
        assert violations(place.gateway.home) == []
        second = place.gateway.cli("customs", "serve", "--amqp")
        assert second.returncode == UNREACHABLE
        assert place.gateway.stop() == 0

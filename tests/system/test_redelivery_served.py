"""`gateway deliveries replay` of what was delivered: customs gets what it lost, once, and not what it has."""

import json
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select

from adapters.backends.exchange import Exchange
from adapters.store.tables.messages import deliveries
from gateway.model.states import DeliveryState, State
from tests.support.invariants import violations
from tests.system.conftest import Mortal
from tests.system.test_separate_customs import Customs, behind_a_folder, message_row, released_once, send


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortal]:
    with behind_a_folder(tmp_path_factory.mktemp("again")) as gateway:
        yield gateway


def delivery(gateway: Mortal, message: str) -> tuple[int, str, list[str]]:
    """Its number, its state, and what happened to it."""
    (listed,) = json.loads(gateway.cli("deliveries", "list", "--message", message, "--json").stdout)
    shown = json.loads(gateway.cli("deliveries", "show", str(listed["id"]), "--json").stdout)
    return listed["id"], listed["state"], [event["event"] for event in shown["events"]]


def delivered(gateway: Mortal, reference: str) -> str:
    """The id of a message, once customs took it."""
    gateway.until(lambda: message_row(gateway, reference)["state"] == State.DELIVERED)
    return str(message_row(gateway, reference)["id"])


def replay(gateway: Mortal, message: str) -> None:
    done = gateway.cli(
        "deliveries", "replay", str(delivery(gateway, message)[0]), "--reason", "customs lost it"
    )
    assert done.returncode == 0, done.stderr


def at_rest(gateway: Mortal, message: str) -> bool:
    with gateway.reading() as store:
        own = select(deliveries.c.state).where(deliveries.c.message == message)
        return bool(store.execute(own).scalar_one() == DeliveryState.DELIVERED)


@pytest.mark.parametrize("place", ["", "move-a-local-file"])
def test_a_lost_delivery_to_a_folder_is_repeated_though_the_node_is_killed_meanwhile(
    node: Mortal, tmp_path: Path, place: str
) -> None:
    exchange = Exchange(node.home.path / "exchange")
    reference = send(node, "RELEASED-")
    message = delivered(node, reference)
    (exchange.out / f"{message}.zip").unlink()
    (exchange.sent / message).unlink()

    if place:
        node.plan("node", place, "after", 1)
    replay(node, message)
    if place:
        assert node.ended() == -signal.SIGKILL
        node.start()
    node.until(lambda: at_rest(node, message))
    assert [path.name for path in exchange.out.iterdir()] == [f"{message}.zip"]
    assert message_row(node, reference)["state"] == State.DELIVERED
    assert delivery(node, message)[2] == ["taken", "delivery_resumed", "taken"]

    with closing(Customs(node.home.path, tmp_path)) as customs:
        customs.start()
        released_once(node, reference)


def test_a_submission_that_customs_knows_is_not_submitted_again(mortal: Mortal) -> None:
    reference = send(mortal, "HAND-")
    message = delivered(mortal, reference)
    mortal.until(lambda: message_row(mortal, reference)["customs_status"] == "stored")
    ledger_file = mortal.home.path / "backends" / "customs" / "customs.db"
    with closing(sqlite3.connect(ledger_file)) as customs:
        query = "SELECT count(*) FROM calls WHERE key = ?"
        before = customs.execute(query, (message,)).fetchone()
        replay(mortal, message)
        mortal.until(lambda: at_rest(mortal, message))
        assert customs.execute(query, (message,)).fetchone() == before
    assert delivery(mortal, message)[1:] == ("delivered", ["taken", "delivery_resumed", "taken"])
    assert violations(mortal.home) == []

    done = mortal.cli("customs", "decide", reference, "release", "--reason", "in order")
    assert done.returncode == 0, done.stderr
    mortal.until(lambda: message_row(mortal, reference)["state"] == State.CLOSED)
    assert violations(mortal.home) == []

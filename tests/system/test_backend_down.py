"""Customs that cannot be reached beside a served node: senders hear of it, and it drains by itself."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.invariants import unfinished, violations
from tests.system.conftest import Mortal
from tests.system.test_separate_customs import Customs, behind_a_folder, inbox, send, submissions_taken

NAME: Final = "customs"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortal]:
    with behind_a_folder(tmp_path_factory.mktemp("down")) as gateway:
        yield gateway


@pytest.fixture
def customs(node: Mortal, tmp_path: Path) -> Iterator[Customs]:
    """Not started yet."""
    with closing(Customs(node.home.path, tmp_path)) as customs:
        yield customs


def backend_status(node: Mortal) -> dict[str, Any]:
    result = node.cli("backends", "list", "--json")
    assert result.returncode == 0, result.stderr
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert list(rows) == ["customs", "association"]
    return dict(rows[NAME])


def done(node: Mortal, references: list[str], *, waited: bool) -> None:
    node.until(lambda: not unfinished(node.home))
    usual = ["Receipt", "Receipt", "Receipt", "Receipt", "Successed"]
    for reference in references:
        assert inbox(node, reference) == ["Gateway"] * (2 if waited else 1) + usual
        assert submissions_taken(node, reference) == 1
    assert violations(node.home) == []


def test_messages_sent_while_customs_is_down_wait_with_a_receipt_and_are_delivered_later(
    node: Mortal, customs: Customs
) -> None:
    exchange = node.home.path / "exchange"
    away = exchange.rename(exchange.with_name("away"))
    exchange.write_bytes(b"")  # no folder can be made in its place
    references = [send(node, "RELEASED-") for _ in range(6)]
    node.until(lambda: backend_status(node)["breaker"] != "closed")
    row = backend_status(node)
    assert row["kind"] == "directory"
    assert row["failures"] >= 5
    assert row["pending"] == 6
    assert row["oldest_waiting"] is not None
    assert row["note"]
    node.until(lambda: all(inbox(node, reference) == ["Gateway", "Gateway"] for reference in references))

    exchange.unlink()
    away.rename(exchange)
    customs.start()
    done(node, references, waited=True)
    assert backend_status(node)["breaker"] == "closed"


def test_a_pause_holds_back_what_goes_out_beside_a_running_node(node: Mortal, customs: Customs) -> None:
    assert node.cli("backends", "pause", NAME, "--reason", "maintenance").returncode == 0
    reference = send(node, "RELEASED-")
    node.until(lambda: inbox(node, reference) == ["Gateway", "Gateway"])
    row = backend_status(node)
    assert (row["pause_reason"], row["pending"]) == ("maintenance", 1)
    customs.start()
    assert node.cli("backends", "resume", NAME, "--reason", "it is over").returncode == 0
    done(node, [reference], waited=True)

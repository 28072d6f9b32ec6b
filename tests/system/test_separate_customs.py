"""A customs that is a process of its own behind a folder: killed at each of its steps, or the node at its."""

import json
import re
import select
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final, Self

import pytest
import sqlalchemy
from lxml import etree

from adapters.cli.exit_codes import UNREACHABLE
from adapters.store.tables.messages import messages
from gateway.formats.xml import trusted
from tests.support.declarations import Declaration
from tests.support.invariants import unfinished, violations
from tests.support.launching import Launched, launch
from tests.support.rendering import render
from tests.support.served import DONE_WITHIN, READY_WITHIN
from tests.support.submissions import STRANGER
from tests.system.conftest import Mortal

ACCOUNT: Final = "broker-aa"


class Customs:
    """`gateway customs serve` of a home, in the way of `crashing`; it may be started again and again."""

    def __init__(self, home: Path, folder: Path) -> None:
        self._home = home
        self._plan = folder / "customs-plan"
        self._log = folder / "customs.log"
        self._process: Launched | None = None

    def start(self, *arguments: str) -> Self:
        words = (str(self._plan), "customs", "serve", "--home", str(self._home))
        with self._log.open("ab") as log:
            self._process = launch("tests.system.crashing", *words, *arguments, stderr=log)
        assert self._process.stdout is not None
        with self._process.stdout as stdout:
            line = select.select([stdout], [], [], READY_WITHIN)[0] and stdout.readline()
        assert line, self._log.read_text("utf-8")
        assert json.loads(line) == {
            "ready": True,
            "folder": str(self._home / "exchange"),
            "pid": self._process.pid,
        }
        return self

    def plan(self, place: str, moment: str) -> None:
        self._plan.write_text(f"node {place} {moment} 1")

    def stop(self) -> int:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> int:
        assert self._process is not None
        process, self._process = self._process, None
        return process.wait(DONE_WITHIN)

    def close(self) -> None:
        self._plan.unlink(missing_ok=True)
        if self._process is not None:
            self._process.kill()
            self.ended()


def behind_a_folder(folder: Path) -> Mortal:
    """A home whose customs is not in the node."""
    gateway = Mortal(folder)
    settings = gateway.home.path / "gateway.toml"
    directory = 'kind = "directory"\nfolder = "exchange"'
    text = re.sub(r'^kind = "reference".*$', directory, settings.read_text("utf-8"), flags=re.MULTILINE)
    settings.write_text(text, "utf-8")
    return gateway


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortal]:
    with behind_a_folder(tmp_path_factory.mktemp("two")) as gateway:
        yield gateway


@pytest.fixture
def customs(node: Mortal, tmp_path: Path) -> Iterator[Customs]:
    """Not started yet."""
    with closing(Customs(node.home.path, tmp_path)) as customs:
        yield customs


def send(node: Mortal, prefix: str = "") -> str:
    reference = prefix + node.next_name()
    node.send(ACCOUNT, f"{reference}.xml", render(Declaration(reference=reference)))
    return reference


def message_row(node: Mortal, reference: str) -> dict[str, Any]:
    query = sqlalchemy.select(messages.c.id, messages.c.state, messages.c.customs_status)
    with node.reading() as store:
        row = store.execute(
            query.where(messages.c.kind == "inbound", messages.c.name == f"{reference}.xml")
        ).one()
        return dict(row._mapping)


def inbox(node: Mortal, reference: str) -> list[str]:
    """What the sender was told, beside requests for documents."""
    kinds = [name.split("_")[0] for name in node.inbox(ACCOUNT) if f"_{reference}_" in name]
    return sorted(kind for kind in kinds if kind != "Request")


def submissions_taken(node: Mortal, reference: str) -> int:
    ledger_file = node.home.path / "backends" / "customs" / "customs.db"
    with closing(sqlite3.connect(ledger_file)) as customs:
        query = "SELECT count(*) FROM submissions WHERE reference = ?"
        return int(customs.execute(query, (reference,)).fetchone()[0])


def released_once(node: Mortal, reference: str) -> None:
    node.until(lambda: not unfinished(node.home))
    assert inbox(node, reference) == ["Gateway", "Receipt", "Receipt", "Receipt", "Receipt", "Successed"]
    assert message_row(node, reference)["state"] == "closed"
    assert submissions_taken(node, reference) == 1
    assert violations(node.home) == []


@pytest.mark.parametrize(
    ("place", "moment"),
    [
        ("a-sandbox-takes-a-submission", "before"),
        ("customs-notes-a-submission", "after"),
        ("a-sandbox-takes-a-submission", "after"),
        ("move-a-file-of-an-exchange", "after"),
        ("put-a-file-of-an-exchange", "before"),
        ("put-a-file-of-an-exchange", "after"),
        ("a-sandbox-hears-that-answers-are-filed", "before"),
        ("a-sandbox-hears-that-answers-are-filed", "after"),
    ],
)
def test_a_declaration_is_released_once_though_customs_is_killed_meanwhile(
    node: Mortal, customs: Customs, place: str, moment: str
) -> None:
    customs.start().plan(place, moment)
    reference = send(node, "RELEASED-")
    assert customs.ended() == -signal.SIGKILL

    customs.start()
    released_once(node, reference)


@pytest.mark.parametrize(
    ("place", "moment"),
    [
        ("write-a-local-file", "before"),
        ("write-a-local-file", "after"),
        ("move-a-local-file", "before"),
        ("move-a-local-file", "after"),
        ("clear-an-answer-away", "before"),
        ("clear-an-answer-away", "after"),
    ],
)
def test_a_declaration_is_delivered_once_though_the_node_is_killed_meanwhile(
    node: Mortal, customs: Customs, place: str, moment: str
) -> None:
    customs.start()
    node.plan("node", place, moment, 1)
    reference = send(node, "RELEASED-")
    assert node.ended() == -signal.SIGKILL

    node.start()
    released_once(node, reference)


def test_customs_takes_at_its_start_what_was_delivered_before_and_stops_cleanly(
    node: Mortal, customs: Customs
) -> None:
    reference = send(node, "HAND-")
    node.until(lambda: message_row(node, reference)["state"] == "delivered")
    assert message_row(node, reference)["customs_status"] == "none"

    customs.start()
    node.until(lambda: message_row(node, reference)["customs_status"] == "stored")
    again = node.cli("customs", "serve")
    assert again.returncode == UNREACHABLE
    assert "another customs" in again.stderr

    (waiting,) = json.loads(node.cli("customs", "queue", "--json").stdout)
    assert waiting["reference"] == reference
    done = node.cli("customs", "decide", reference, "release", "--reason", "in order")
    assert done.returncode == 0, done.stderr
    node.until(lambda: message_row(node, reference)["state"] == "closed")
    assert customs.stop() == 0
    assert violations(node.home) == []


def test_a_customs_that_expects_another_gateway_refuses_and_the_sender_is_notified(tmp_path: Path) -> None:
    other = tmp_path / "other.crt"
    other.write_text(STRANGER.certificate_pem)
    with behind_a_folder(tmp_path) as node, closing(Customs(node.home.path, tmp_path)) as customs:
        customs.start("--certificate", str(other))
        reference = send(node)
        node.until(lambda: message_row(node, reference)["state"] == "closed")

        message = message_row(node, reference)
        assert message["customs_status"] == "refused"
        assert inbox(node, reference) == ["Failed", "Gateway"]
        (failed,) = [name for name in node.inbox(ACCOUNT) if name.startswith(f"Failed_{reference}_")]
        text = values(node.read(ACCOUNT, f"/InBox/{failed}"))
        assert (text["ResponseCode"], text["ClientSeqNo"]) == ("1", reference)
        assert "certificate-unknown" in text["ErrorMessage"]
        assert (node.home.path / "exchange" / "refused" / f"{message['id']}.zip").is_file()


def values(body: bytes) -> dict[str, str]:
    return {etree.QName(child).localname: child.text or "" for child in trusted(body)}

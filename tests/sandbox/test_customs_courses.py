"""Forced courses through a served gateway: what a broker finds, and what an operator sees."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from adapters.cli.exit_codes import NO
from adapters.sandbox.customs.courses import FORCED
from docs.generate import ROOT
from gateway.formats.xml import trusted
from tests.support.declarations import Declaration
from tests.support.invariants import violations
from tests.support.rendering import render
from tests.support.served import Gateway

ACCOUNT = "broker-aa"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("courses")) as running:
        yield running


def send(gateway: Gateway, reference: str) -> None:
    gateway.send(ACCOUNT, f"{reference}.xml", render(Declaration(reference=reference)))


def listed(gateway: Gateway, *options: str) -> list[dict[str, Any]]:
    done = gateway.cli("messages", "list", *options, "--json")
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def heard_out(gateway: Gateway, *references: str) -> bool:
    """Whether customs took all of these, and nothing that it said is still to be heard."""
    with closing(sqlite3.connect(gateway.home.path / "backends" / "customs" / "customs.db")) as customs:
        taken = {reference for (reference,) in customs.execute("SELECT reference FROM submissions")}
        (owed,) = customs.execute("SELECT count(*) FROM answers WHERE NOT acknowledged").fetchone()
    return set(references) <= taken and owed == 0


def inbox(gateway: Gateway, reference: str) -> list[str]:
    """The beginnings of the names of what the broker was given, and the codes of customs' own receipts. What
    the gateway asks for after a release (documents that are due then) is none of customs' course."""
    names = [name for name in gateway.inbox(ACCOUNT) if f"_{reference}_" in name]
    names = [name for name in names if not name.startswith("Request_")]
    return sorted(
        name.split("_")[0] if not name.startswith("Receipt_") else code(gateway, name) for name in names
    )


def code(gateway: Gateway, name: str) -> str:
    return trusted(gateway.read(ACCOUNT, f"/InBox/{name}")).findtext("CHANNEL") or ""


def test_answers_twice_backwards_or_broken_leave_one_receipt_of_each_and_the_status_by_rank(
    gateway: Gateway,
) -> None:
    references = ("TWICE-1", "ORDER-1", "BROKEN-1")
    for reference in references:
        send(gateway, reference)
    gateway.until(lambda: heard_out(gateway, *references))

    assert inbox(gateway, "TWICE-1") == ["Gateway", "J", "L", "P", "R", "Successed"]
    assert inbox(gateway, "ORDER-1") == ["Gateway", "J", "L", "P", "R", "Successed"]
    assert inbox(gateway, "BROKEN-1") == ["Gateway", "L", "P", "R", "Successed"]
    ours = [row for row in listed(gateway) if row["reference"] in references]
    assert {(row["reference"], row["state"], row["customs_status"]) for row in ours} == {
        (reference, "closed", "closed") for reference in references
    }
    assert len(ours) == len(references)
    assert violations(gateway.home) == []  # among them: exactly one final receipt each


def test_a_malformed_answer_is_held_where_an_operator_sees_it(gateway: Gateway) -> None:
    send(gateway, "BROKEN-2")
    gateway.until(lambda: heard_out(gateway, "BROKEN-2"))

    (message,) = [row["id"] for row in listed(gateway) if row["reference"] == "BROKEN-2"]
    held = [row["id"] for row in listed(gateway, "--all", "--state", "held")]
    receipts = [json.loads(gateway.cli("messages", "show", row, "--json").stdout) for row in held]
    (ours,) = [receipt for receipt in receipts if receipt["name"] == f"Receipt_{message}_J.xml"]
    assert ours["account"] == "customs"
    assert ours["reason"].startswith("cannot be read")


def queue(gateway: Gateway) -> dict[str, dict[str, str]]:
    done = gateway.cli("customs", "queue", "--json")
    assert done.returncode == 0, done.stderr
    return {row["reference"]: row for row in json.loads(done.stdout)}


def test_an_operator_decides_a_declaration_beside_the_running_node(gateway: Gateway) -> None:
    send(gateway, "HAND-1")
    gateway.until(lambda: heard_out(gateway, "HAND-1"))
    (message,) = [row for row in listed(gateway) if row["reference"] == "HAND-1"]
    assert (message["state"], message["customs_status"]) == ("delivered", "stored")
    waiting = queue(gateway)["HAND-1"]
    assert tuple(waiting) == ("key", "reference", "entry_id", "office", "status", "since", "reason")
    assert (waiting["key"], waiting["office"], waiting["status"]) == (message["id"], "0202", "review")
    assert waiting["entry_id"].startswith("0202")

    names = cycle((message["id"], waiting["entry_id"], "HAND-1"))

    def decide(act: str) -> int:
        # By key, reference or entry number: all stand in the queue.
        done = gateway.cli("customs", "decide", next(names), act, "--reason", "随机布控", "--json")
        assert done.returncode or json.loads(done.stdout)["key"] == message["id"], done.stderr
        return done.returncode

    assert decide("inspect") == 0
    assert queue(gateway)["HAND-1"]["status"] == "inspection"
    gateway.until(lambda: "C" in inbox(gateway, "HAND-1"))
    assert decide("release") == 0
    assert "HAND-1" not in queue(gateway)
    gateway.until(lambda: inbox(gateway, "HAND-1") == ["C", "Gateway", "L", "P", "R", "Successed"])
    (released,) = [row for row in listed(gateway) if row["reference"] == "HAND-1"]
    assert (released["state"], released["customs_status"]) == ("closed", "closed")
    assert decide("release") == NO
    assert violations(gateway.home) == []


def test_a_home_that_was_never_served_has_nothing_to_decide(tmp_path: Path) -> None:
    unserved = Gateway(tmp_path)
    assert queue(unserved) == {}
    refused = unserved.cli("customs", "decide", "nobody", "release", "--reason", "in order")
    assert refused.returncode == NO
    assert "does not wait" in refused.stderr
    assert not (unserved.home.path / "backends" / "customs").exists()


def test_every_course_is_documented() -> None:
    text = (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([A-Z]+-)` \|", text, re.MULTILINE)) == set(FORCED)

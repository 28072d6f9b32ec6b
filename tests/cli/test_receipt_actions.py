"""`gateway receipts list|show|restore`: what became of a receipt, and one that was removed put back."""

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import cli
from adapters.cli.exit_codes import NO, USAGE
from adapters.home.audit import Audit
from adapters.store.read.mailbox import SqlMailbox
from adapters.store.tables.messages import receipts
from gateway.model.folders import Folder
from tests.support.declarations import Declaration
from tests.support.harness import NOW, Harness
from tests.support.rendering import render

BROKER = "broker-aa"
REMOVED_AT = NOW + timedelta(minutes=7)


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    with Harness.at(tmp_path / "home") as harness:
        for reference in ("R1", "R2"):
            harness.judged(BROKER, f"{reference}.xml", render(Declaration(reference=reference)))
        yield harness


def run(harness: Harness, *command: str) -> Result:
    return CliRunner().invoke(cli.app, [*command, "--home", str(harness.home.path)])


def run_json(harness: Harness, *command: str) -> Any:
    result = run(harness, *command, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def taken_away(harness: Harness) -> dict[str, Any]:
    """The receipt of R1, removed by its account as an SFTP client removes it."""
    (row,) = run_json(harness, "receipts", "list", "--message", "R1", "--account", BROKER)
    box = SqlMailbox(harness.database)
    asyncio.run(box.collected(BROKER, row["id"], REMOVED_AT, removed=True))
    return dict(row)


def names(harness: Harness) -> list[str]:
    entries = asyncio.run(SqlMailbox(harness.database).page(BROKER, Folder.INBOX, "", 100))
    return [entry.name for entry in entries]


def test_a_removed_receipt_is_shown_as_removed_everywhere(harness: Harness) -> None:
    row = taken_away(harness)
    (listed,) = run_json(harness, "receipts", "list", "--removed")
    assert (listed["name"], listed["removed_at"]) == (row["name"], REMOVED_AT.isoformat())
    assert run_json(harness, "receipts", "show", row["name"])["removed_at"] == REMOVED_AT.isoformat()
    (shown,) = [
        receipt
        for receipt in run_json(harness, "messages", "show", "R1")["receipts"]
        if receipt["name"] == row["name"]
    ]
    assert shown["removed_at"] == REMOVED_AT.isoformat()
    removal = run_json(harness, "messages", "trace", "R1")[-1]
    assert (removal["event"], removal["actor"], removal["at"]) == (
        "receipt-removed",
        BROKER,
        REMOVED_AT.isoformat(),
    )
    assert "receipt-removed" not in {event["event"] for event in run_json(harness, "messages", "trace", "R2")}


def test_a_receipt_that_was_taken_away_is_put_back_as_it_was_with_a_reason(harness: Harness) -> None:
    row, before = taken_away(harness), harness.rows(receipts)
    assert row["name"] not in names(harness)
    result = run(harness, "receipts", "restore", str(row["id"]), "--reason", "their disk was lost")
    assert result.exit_code == 0, result.output
    assert row["name"] in names(harness)
    after = harness.rows(receipts)
    assert [receipt | {"removed_at": None} for receipt in before] == after
    last = run_json(harness, "messages", "trace", "R1")[-1]
    assert (last["event"], last["detail"]["reason"]) == ("receipt-restored", "their disk was lost")
    assert list(Audit(harness.home).run()) == []
    again = run(harness, "receipts", "restore", row["name"], "--reason", "once more")
    assert (again.exit_code, "where it was put" in again.stderr) == (NO, True)


def test_the_bytes_of_a_receipt_come_out_as_they_were_given(harness: Harness) -> None:
    row = run_json(harness, "receipts", "list", "--message", "R2")[0]
    (body,) = [each["body"] for each in harness.rows(receipts) if each["id"] == row["id"]]
    assert run(harness, "receipts", "show", str(row["id"]), "--raw").stdout_bytes == body


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("receipts", "show", "nothing"), NO),
        (("receipts", "show", "999"), NO),
        (("receipts", "restore", "1", "--reason", " "), USAGE),
        (("receipts", "list", "--since", "yesterday"), USAGE),
        (("receipts", "list", "--since", "2026-13-01"), USAGE),
        (("messages", "list", "--since", "2w"), USAGE),
        (("messages", "list", "--since", "1h", "--until", "2026-01-01"), USAGE),
    ],
)
def test_impossible_acts_on_receipts_end_with_their_exit_code(
    harness: Harness, arguments: tuple[str, ...], code: int
) -> None:
    assert run(harness, *arguments).exit_code == code


@pytest.mark.parametrize("command", [("messages", "list"), ("receipts", "list")])
def test_since_takes_an_age_or_a_day(harness: Harness, command: tuple[str, ...]) -> None:
    """The harness tells commands a time an hour after its first message."""
    every = len(run_json(harness, *command))
    assert every > 0
    assert len(run_json(harness, *command, "--since", "2h")) == every
    assert run_json(harness, *command, "--since", "10m") == []
    assert len(run_json(harness, *command, "--since", "2026-11-23")) == every
    assert run_json(harness, *command, "--since", "2026-11-24") == []


def test_tail_ends_by_itself_where_it_is_not_to_follow(harness: Harness) -> None:
    result = run(harness, "tail", "--since", "2h", "--no-follow", "--json")
    assert result.exit_code == 0
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["event"] for line in lines] == ["received", "passed"] * 2
    assert run(harness, "tail", "--since", "10m", "--no-follow").stdout == ""


@pytest.mark.parametrize(
    ("column", "value"),
    [("created_at", "abc"), ("body", "text"), ("removed_at", "x"), ("created_at", 10**30)],
)
def test_a_receipt_that_was_damaged_is_named_and_the_others_are_shown(
    harness: Harness, column: str, value: object
) -> None:
    whole = run_json(harness, "receipts", "list")
    id_, other = whole[0]["id"], whole[1]["id"]
    shown = float(value) if isinstance(value, int) else value
    with harness.database.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE receipts SET {column} = ? WHERE id = ?", (shown, id_))  # noqa: S608
    listed = run(harness, "receipts", "list", "--json")
    rows = json.loads(listed.stdout)
    assert [row["id"] for row in rows] == [row["id"] for row in whole]
    assert rows[1:] == whole[1:]
    if column != "body":  # which is not listed
        assert (rows[0]["damaged"], rows[0][column], rows[0]["name"]) == ([column], None, whole[0]["name"])
        assert listed.exit_code == NO
        assert f"receipt {id_}: {column}" in listed.stderr
    asked = run(harness, "receipts", "show", str(id_))
    assert asked.exit_code == NO
    assert f"receipt {id_}: {column}" in asked.stderr
    assert run(harness, "receipts", "show", str(other)).exit_code == 0

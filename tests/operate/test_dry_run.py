"""A dry run says what an act would come to, changes nothing, and is right."""

import hashlib

import pytest

from adapters.home.home import Home
from adapters.store.tables.messages import agreements, deliveries, events, holders, messages, receipts
from adapters.store.tables.operations import undertakings
from gateway.model.states import DeliveryState, State
from tests.support.association import agreement_document as agreement_shown
from tests.support.declarations import Declaration, lines
from tests.support.harness import LATER, Harness
from tests.support.operating import BROKER, NUMBER, accepted, gateway, held, judge_again, refused, trail
from tests.support.rendering import render

RECEIPT = ("account", "kind", "verdict", "final")
TABLES = (messages, events, receipts, deliveries, holders, agreements, undertakings)


def everything(harness: Harness) -> object:
    """All rows, and all files but the database's own."""
    files = {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(harness.home.path.rglob("*"))
        if path.is_file() and not path.name.startswith("gateway.db")
    }
    return [harness.rows(table) for table in TABLES], files


def strict(home: Home, count: int) -> None:
    """The home's own policy lets so many lines pass."""
    path = home.path / "policy.toml"
    path.write_text(path.read_text("utf-8").replace("lines = 50", f"lines = {count}"), "utf-8")


def test_a_dry_run_shows_the_present_beside_what_would_be_and_changes_nothing(harness: Harness) -> None:
    message = refused(harness)
    before = everything(harness)
    result = gateway(harness, "messages", "replay", "R1", "--dry-run", "--json")
    assert result.code == 0, result.err
    (shown,) = result.json
    assert (shown["id"], shown["reference"], shown["from"]) == (message, "R1", "judgement")
    assert shown["state"] == {"now": "rejected", "then": "accepted"}
    assert shown["verdict"] == {"now": "rejected", "then": "accepted"}
    assert shown["faults"]["then"] == []
    assert shown["removed"] == shown["faults"]["now"] != []
    assert shown["added"] == []
    assert (shown["route"]["now"], shown["backends"]) == (None, {"now": [], "then": ["customs"]})
    assert shown["route"]["then"]
    assert [
        (receipt["account"], receipt["kind"], receipt["verdict"], receipt["final"])
        for receipt in shown["receipts"]
    ] == [
        (BROKER, "gateway", "accepted", True),
        ("association", "notice", "used", False),
    ]
    assert everything(harness) == before


def test_a_dry_run_of_a_replay_shows_its_outcome(harness: Harness) -> None:
    message = refused(harness)
    (shown,) = gateway(harness, "messages", "replay", "R1", "--dry-run", "--json").json
    gateway(harness, "messages", "replay", "R1", "--reason", "limit raised")
    decision = judge_again(harness, LATER)
    assert harness.message(message)["state"] == shown["state"]["then"]
    assert [submission.destination for submission in decision.submissions] == shown["backends"]["then"]
    assert trail(harness, message)[-1][2]["route"] == shown["route"]["then"]


def test_a_replay_that_would_change_nothing_says_so_and_gives_no_receipt(harness: Harness) -> None:
    refused(harness)
    strict(harness.home, 1)
    (shown,) = gateway(harness, "messages", "replay", "R1", "--dry-run", "--json").json
    assert shown["verdict"] == {"now": "rejected", "then": "rejected"}
    assert (shown["added"], shown["removed"], shown["receipts"]) == ([], [], [])


def test_a_dry_run_of_an_accepted_message_shows_what_is_queried_and_sent(harness: Harness) -> None:
    message = held(harness)
    (shown,) = gateway(harness, "messages", "replay", "R1", "--dry-run", "--json").json
    assert (shown["from"], shown["state"]["then"]) == ("delivery", State.ACCEPTED)
    assert shown["deliveries"] == [
        {"destination": "customs", "key": message, "state": DeliveryState.HELD.value}
    ]
    assert shown["receipts"] == []


def test_a_dry_run_accepts_again_a_message_that_uses_its_agreement_itself(harness: Harness) -> None:
    held(harness)
    before = everything(harness)
    (shown,) = gateway(harness, "messages", "replay", "R1", "--from", "judgement", "--dry-run", "--json").json
    assert shown["state"] == {"now": "held", "then": "accepted"}
    assert shown["faults"] == {"now": [], "then": []}
    assert shown["receipts"] == []  # its sender has them
    assert everything(harness) == before


def test_an_impossible_act_is_refused_with_those_that_are_possible(harness: Harness) -> None:
    harness.judged(BROKER, "R1.xml", render(Declaration(reference="R1")))
    result = gateway(harness, "messages", "replay", "R1", "--dry-run", "--json")
    assert result.code == 1  # as the replay itself would
    assert result.json[0]["why_not"] == "a message that is accepted cannot be replayed; possible: hold"


def test_a_dry_run_of_many_is_a_table_and_writes_no_request(harness: Harness) -> None:
    refused(harness, "R1"), held(harness, "R2")
    result = gateway(harness, "messages", "replay", "--account", BROKER, "--dry-run")
    assert result.code == 0, result.err
    assert "rejected → accepted" in result.out
    assert "held → accepted" in result.out
    assert harness.rows(undertakings) == []


def test_a_dry_run_of_one_message_shows_before_and_after_side_by_side(harness: Harness) -> None:
    refused(harness)
    out = gateway(harness, "messages", "replay", "R1", "--dry-run").out
    assert "nothing is changed" in out
    assert [line.split() for line in out.splitlines() if line.startswith("verdict")] == [
        ["verdict", "rejected", "accepted"]
    ]
    assert f"receipt to {BROKER}: gateway accepted, final" in out


def test_a_dry_run_into_waiting_names_what_is_awaited_and_until_when(harness: Harness) -> None:
    body = render(Declaration(reference="R9", lines=lines(2), documents=(agreement_shown(NUMBER),)))
    harness.judged(BROKER, "R9.xml", body)
    gateway(harness, "messages", "hold", "R9", "--reason", "look at it")
    (would,) = gateway(harness, "messages", "replay", "R9", "--dry-run", "--json").json
    assert (would["verdict"]["then"], would["waiting_for"]) == ("waiting", f"agreement {NUMBER}")
    assert would["until"] is not None
    assert would["receipts"] == []  # it was told so when it waited first


def test_a_dry_run_of_a_hold_shows_the_state_alone_and_changes_nothing(harness: Harness) -> None:
    message = accepted(harness)
    before = everything(harness)
    result = gateway(harness, "messages", "hold", "R1", "--dry-run", "--json")
    (shown,) = result.json
    assert (result.code, shown["id"], shown["from"]) == (0, message, None)
    assert shown["state"] == {"now": "accepted", "then": "held"}
    assert shown["verdict"] == {"now": "accepted", "then": "accepted"}
    assert (shown["receipts"], shown["deliveries"]) == ([], [])
    assert gateway(harness, "messages", "hold", "R1", "--dry-run").out.endswith("\nno receipt\n")
    assert everything(harness) == before


def test_a_dry_run_of_a_release_says_what_is_asked_about_and_sent(harness: Harness) -> None:
    message = held(harness)
    before = everything(harness)
    (shown,) = gateway(harness, "messages", "release", "R1", "--dry-run", "--json").json
    assert (shown["from"], shown["state"]) == ("delivery", {"now": "held", "then": "accepted"})
    assert [delivery["key"] for delivery in shown["deliveries"]] == [message]
    assert everything(harness) == before


def test_a_dry_run_of_a_rejection_shows_what_the_sender_would_get(harness: Harness) -> None:
    message = held(harness)
    before = everything(harness)
    (shown,) = gateway(harness, "messages", "reject", "R1", "--dry-run", "--json").json
    assert everything(harness) == before
    assert shown["state"] == {"now": "held", "then": "rejected"}
    assert shown["verdict"] == {"now": "accepted", "then": "rejected"}
    assert (shown["added"], shown["backends"]["then"]) == (["dismissed"], [])
    earlier = {row["id"] for row in harness.rows(receipts, message=message)}
    assert gateway(harness, "messages", "reject", "R1", "--reason", "withdrawn").code == 0
    receipt_rows = [row for row in harness.rows(receipts, message=message) if row["id"] not in earlier]
    assert [
        {**{name: row[name] for name in RECEIPT}, "verdict": row["verdict"] or None} for row in receipt_rows
    ] == (shown["receipts"])


@pytest.mark.parametrize("act", ["hold", "release", "reject"])
def test_a_dry_run_of_many_shows_which_would_change_and_why_others_would_not(
    harness: Harness, act: str
) -> None:
    refused(harness, "R1")
    (accepted if act == "hold" else held)(harness, "R2")
    before = everything(harness)
    result = gateway(harness, "messages", act, "--account", BROKER, "--dry-run", "--json")
    done = {"hold": "held", "release": "released", "reject": "rejected"}[act]
    assert result.code == 0
    assert [row["why_not"] for row in result.json] == [
        f"a message that is rejected cannot be {done}; possible: replay",
        None,
    ]
    assert gateway(harness, "messages", act, "--state", "rejected", "--dry-run").code == 1
    assert gateway(harness, "messages", act, "R1", "--dry-run").code == 1
    assert everything(harness) == before


@pytest.mark.parametrize("act", ["hold", "release", "reject", "replay"])
def test_an_act_that_is_no_dry_run_must_say_why(harness: Harness, act: str) -> None:
    message = refused(harness)
    for reason in ((), ("--reason", " ")):
        result = gateway(harness, "messages", act, "R1", *reason)
        assert (result.code, "must say why" in result.err) == (2, True), result.err
    assert harness.message(message)["state"] == State.REJECTED

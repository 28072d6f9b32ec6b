"""Attempts of a message, or two messages, side by side, with what differs."""

from adapters.home.actor import actor
from tests.support.declarations import Declaration
from tests.support.harness import LATER, Harness
from tests.support.operating import BROKER, gateway, held, judge_again, refused, trail
from tests.support.rendering import render


def test_the_attempts_of_a_message_stand_side_by_side_with_who_replayed_it_and_why(harness: Harness) -> None:
    message = refused(harness)
    gateway(harness, "messages", "replay", "R1", "--reason", "limit raised")
    judge_again(harness, LATER)
    result = gateway(harness, "messages", "diff", "R1", "--json")
    assert result.code == 0, result.err
    shown, rows = result.json, result.json["rows"]
    assert (shown["messages"], shown["columns"]) == ([message], ["attempt 1", "attempt 2"])
    assert rows["began"] == ["received", "replayed"]
    assert rows["by"] == ["broker-aa", actor()]
    assert rows["why"] == [None, "limit raised"]
    assert rows["verdict"] == ["refused", "passed"]
    assert rows["faults"][0] != []
    assert rows["policy"][0] != rows["policy"][1]
    assert rows["rules"][0] == rows["rules"][1]
    assert rows["route"][0] is None
    assert len({*rows["receipt"]}) == 2
    assert {"verdict", "faults", "policy", "route", "receipt", "state"} <= {*shown["differs"]}
    assert "rules" not in shown["differs"]


def test_lines_that_differ_are_marked_for_people(harness: Harness) -> None:
    refused(harness)
    gateway(harness, "messages", "replay", "R1", "--reason", "limit raised")
    judge_again(harness, LATER)
    lines = gateway(harness, "messages", "diff", "R1").out.splitlines()
    assert lines[0].split() == ["attempt", "1", "attempt", "2"]
    assert [line.split()[0] for line in lines if " verdict " in line] == ["≠"]
    assert [line.split()[0] for line in lines if " rules " in f" {line} "] == ["rules"]


def test_a_message_that_was_never_replayed_has_one_attempt_that_differs_from_nothing(
    harness: Harness,
) -> None:
    refused(harness)
    shown = gateway(harness, "messages", "diff", "R1", "--json").json
    assert (shown["columns"], shown["differs"]) == (["attempt 1"], [])


def test_two_messages_stand_side_by_side_with_facts_and_parts(harness: Harness) -> None:
    first, second = refused(harness, "R1"), held(harness, "R2")
    shown = gateway(harness, "messages", "diff", "R1", "R2", "--json").json
    assert shown["columns"] == [first, second]
    assert shown["rows"]["reference"] == ["R1", "R2"]
    assert {"reference", "state", "sha256", "faults", "part R1.xml"} <= {*shown["differs"]}
    assert "party" not in shown["differs"]
    assert any(name.startswith("fact ") for name in shown["rows"])


def test_a_rule_has_one_name_in_the_trail_beside_others_and_in_a_dry_run(harness: Harness) -> None:
    message = harness.judged(
        BROKER, "R1.xml", render(Declaration(reference="R1", head={"GrossWet": "1"}))
    ).message
    (attempts,) = gateway(harness, "messages", "diff", "R1", "--json").json["rows"]["faults"]
    beside = gateway(harness, "messages", "diff", "R1", "R1", "--json").json["rows"]["faults"]
    (dry,) = gateway(harness, "messages", "replay", "R1", "--dry-run", "--json").json
    assert "DEC-501" in attempts
    assert beside == [sorted(attempts)] * 2
    assert dry["faults"]["now"] == ["DEC-501"]
    assert trail(harness, message)[-1][2]["faults"] == attempts


def test_a_message_that_does_not_exist_ends_with_1(harness: Harness) -> None:
    refused(harness)
    assert gateway(harness, "messages", "diff", "R1", "R2").code == 1

"""Acts by filter and by request key, through the command: each message once, and the request kept."""

import os
from pathlib import Path

import pytest

from adapters.home.actor import actor
from adapters.store.tables.operations import undertakings
from gateway.model.states import Event, State
from tests.support.harness import LATER, Harness
from tests.support.operating import gateway, held, judge_again, refused, trail


def test_all_messages_that_meet_the_filters_are_replayed_and_those_alone(harness: Harness) -> None:
    first, second = refused(harness, "R1"), refused(harness, "R2")
    other = held(harness, "R3")
    done = gateway(harness, "messages", "replay", "--state", "rejected", "--reason", "limit raised", "--json")
    assert done.code == 0, done.err
    assert (done.json["state"], done.json["done"], done.json["impossible"]) == ("done", 2, 0)
    assert [item["message"] for item in done.json["items"]] == [first, second]
    assert [harness.message(message)["state"] for message in (first, second, other)] == [
        State.RECEIVED,
        State.RECEIVED,
        State.HELD,
    ]
    event, who, detail = trail(harness, first)[-1]
    assert (event, who) == (Event.REPLAYED, actor())
    assert detail == {"reason": "limit raised", "undertaking": done.json["id"]}


def test_an_act_impossible_for_one_message_is_noted_and_the_others_are_done(harness: Harness) -> None:
    refused(harness, "R1"), held(harness, "R2")
    done = gateway(
        harness, "messages", "release", "--account", "broker-aa", "--reason", "go on", "--json"
    ).json
    assert (done["done"], done["impossible"]) == (1, 1)
    (note,) = [item["note"] for item in done["items"] if item["outcome"] == "impossible"]
    assert note == "a message that is rejected cannot be released; possible: replay"


def test_nothing_that_meets_the_filters_or_nothing_possible_ends_with_1(harness: Harness) -> None:
    assert gateway(harness, "messages", "replay", "--state", "held", "--reason", "x").code == 1
    assert harness.rows(undertakings) == []
    refused(harness)
    assert gateway(harness, "messages", "hold", "--state", "rejected", "--reason", "x").code == 1


@pytest.mark.parametrize(
    "act",
    [
        *(("hold", "--reason", "x"), ("release", "--reason", "x"), ("reject", "--reason", "x")),
        *(("replay", "--reason", "x"), ("replay", "--dry-run"), ("replay",)),
    ],
    ids=" ".join,
)
def test_an_act_on_nothing_says_that_a_message_or_filters_are_needed_and_how(
    harness: Harness, act: tuple[str, ...]
) -> None:
    result = gateway(harness, "messages", *act)
    assert result.code == 2
    assert "Give one (its id, reference, SeqNo or entry number), or filters: --state, --fault" in result.err
    assert "both" not in result.err


def test_a_message_and_filters_together_are_refused_by_their_names(harness: Harness) -> None:
    refused(harness)
    result = gateway(
        harness, "messages", "replay", "R1", "--state", "rejected", "--older", "1h", "--reason", "x"
    )
    assert (result.code, "one message or filters (--state, --older), not both" in result.err) == (2, True), (
        result
    )


def test_the_same_request_key_has_one_effect_and_gives_the_outcome_again(harness: Harness) -> None:
    message = refused(harness)
    again = ("messages", "replay", "R1", "--reason", "limit raised", "--request-key", "ticket-7", "--json")
    first = gateway(harness, *again)
    assert first.json == {"id": message, "state": "received"}
    judge_again(harness, LATER)
    before = trail(harness, message)
    assert gateway(harness, *again) == first
    assert trail(harness, message) == before


def test_the_same_request_key_for_something_else_is_refused(harness: Harness) -> None:
    refused(harness)
    key = ("--reason", "x", "--request-key", "ticket-7")
    assert gateway(harness, "messages", "replay", "--state", "rejected", *key).code == 0
    for other in (("replay", "--state", "held"), ("hold", "--state", "rejected"), ("replay", "R1")):
        result = gateway(harness, "messages", *other, *key)
        assert (result.code, "used before" in result.err) == (2, True), result
    assert len(harness.rows(undertakings)) == 1


def test_without_a_key_a_second_replay_says_that_there_was_a_first(harness: Harness) -> None:
    refused(harness)
    assert gateway(harness, "messages", "replay", "R1", "--reason", "x").code == 0
    result = gateway(harness, "messages", "replay", "R1", "--reason", "x")
    assert result.code == 1
    assert "a message that is received cannot be replayed; possible: hold; it was replayed at " in result.err
    assert f"UTC by {actor()}" in result.err


def test_messages_that_a_filter_selects_are_rejected_each_with_its_receipt(harness: Harness) -> None:
    held(harness, "R1")
    done = gateway(harness, "messages", "reject", "--state", "held", "--reason", "withdrawn", "--json")
    assert (done.code, done.json["done"]) == (0, 1), done.err
    assert harness.message(done.json["items"][0]["message"])["state"] == State.REJECTED


def test_a_limit_takes_the_newest_and_says_how_many_more_there_are_and_how_to_go_on(harness: Harness) -> None:
    ids = [refused(harness, reference) for reference in ("R1", "R2", "R3")]
    limited = ("messages", "replay", "--state", "rejected", "--limit", "1")
    dry = gateway(harness, *limited, "--dry-run", "--json")
    assert [row["id"] for row in dry.json] == ids[2:]
    assert dry.err == "gateway: the newest 1 of 3 that meet the filters; --limit 0 takes all of them\n"

    keyed = (*limited, "--reason", "x", "--request-key", "ticket-7", "--json")
    done = gateway(harness, *keyed)
    assert [item["message"] for item in done.json["items"]] == ids[2:]
    assert "2 more meet the filters and were left alone" in done.err
    assert "the same command with --limit 0 and another --request-key" in done.err
    again = gateway(harness, *keyed)
    assert (again.json, again.err) == (done.json, "")

    last = gateway(harness, *limited[:-1], "2", "--reason", "x", "--json")
    assert ([item["message"] for item in last.json["items"]], "more" in last.err) == (ids[:2], False)


def test_the_user_is_taken_from_the_process_and_not_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = actor()
    monkeypatch.setenv("LOGNAME", "somebody-else")
    monkeypatch.setenv("USER", "somebody-else")
    assert actor() == before
    assert before in Path("/etc/passwd").read_text() or before == str(os.getuid())

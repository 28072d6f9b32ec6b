"""Whatever a message comes to after its final receipt, its sender is told: and dry run and trail agree."""

import asyncio
import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from adapters.store.tables.messages import receipts
from gateway.model.decision import Decision
from gateway.model.policy import DeclarationPolicy
from gateway.model.states import Event, State
from gateway.operate.message_actions import Stage
from tests.support.acts import hold, release, replay
from tests.support.association import shown
from tests.support.declarations import Declaration, lines
from tests.support.desk import LATER, Desk
from tests.support.operating import BROKER, NUMBER, gateway, judge_again, refused, trail
from tests.support.rendering import render

MINUTE: Final = timedelta(minutes=1)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk.at(tmp_path / "home") as opened:
        yield opened


def lacking(desk: Desk, reference: str = "R1") -> str:
    """One that the policy of its day refused, and that today would wait for an agreement."""
    present = desk.rules
    strict = present.policy.model_copy(update={"declaration": DeclarationPolicy(lines=1)})
    desk.rules = replace(present, policy=strict)
    body = render(Declaration(reference=reference, lines=lines(2), documents=(shown(NUMBER),)))
    decision = desk.judged(BROKER, f"{reference}.xml", body)
    desk.rules = present
    assert decision.event is Event.REFUSED
    return decision.message


def said(desk: Desk, message: str) -> list[str]:
    """The verdicts of the gateway's receipts that its sender was given, oldest first."""
    rows = desk.rows(receipts, message=message, account=BROKER, kind="gateway")
    return [row["verdict"] for row in rows]


def replayed(desk: Desk, message: str, at: datetime, stage: Stage | None = None) -> None:
    desk.database.submit(lambda to: replay(to, message, "tests", "why", at, stage=stage)).result()


def stopped(desk: Desk, message: str, at: datetime) -> None:
    desk.database.submit(lambda to: hold(to, message, "tests", "why", at)).result()


def judged(desk: Desk, at: datetime) -> Decision:
    return judge_again(desk, at)


def named_receipts_are_there(desk: Desk, message: str) -> None:
    given = {hashlib.sha256(row["body"]).hexdigest() for row in desk.rows(receipts, message=message)}
    named = [detail["receipt"] for _event, _actor, detail in trail(desk, message) if "receipt" in detail]
    assert set(named) <= given


def test_a_replay_into_waiting_after_a_refusal_is_told_by_a_pending_receipt_and_ends_with_another_final_one(
    desk: Desk,
) -> None:
    message = lacking(desk)
    (would,) = gateway(desk, "messages", "replay", message, "--dry-run", "--json").json
    assert [(each["verdict"], each["final"]) for each in would["receipts"]] == [("waiting", False)]
    replayed(desk, message, LATER)
    judged(desk, LATER + MINUTE)
    assert said(desk, message) == ["rejected", "waiting"]
    # The agreement does not come: the same verdict as before, and told all the same.
    assert desk.expired(LATER + timedelta(days=40)) == 1
    judged(desk, LATER + timedelta(days=40, minutes=1))
    assert desk.message(message)["state"] == State.REJECTED
    assert said(desk, message) == ["rejected", "waiting", "rejected"]
    named_receipts_are_there(desk, message)


def test_waiting_before_and_after_a_refusal_is_told_both_times(desk: Desk) -> None:
    body = render(Declaration(reference="R1", lines=lines(2), documents=(shown(NUMBER),)))
    message = desk.judged(BROKER, "R1.xml", body).message
    assert said(desk, message) == ["waiting"]
    rejected = gateway(desk, "messages", "reject", message, "--reason", "not ours")
    assert rejected.code == 0, rejected.err
    replayed(desk, message, LATER)
    (would,) = gateway(desk, "messages", "hold", message, "--dry-run", "--json").json
    assert would["receipts"] == []
    judged(desk, LATER + MINUTE)
    assert said(desk, message) == ["waiting", "rejected", "waiting"]
    named_receipts_are_there(desk, message)


def test_a_dry_run_of_a_second_rejection_says_what_its_sender_gets(desk: Desk) -> None:
    message = lacking(desk)
    replayed(desk, message, LATER)
    judged(desk, LATER + MINUTE)
    (would,) = gateway(desk, "messages", "reject", message, "--dry-run", "--json").json
    assert ("rejected", True) in [(each["verdict"], each["final"]) for each in would["receipts"]]
    done = gateway(desk, "messages", "reject", message, "--reason", "not ours")
    assert done.code == 0, done.err
    assert said(desk, message) == ["rejected", "waiting", "rejected"]
    named_receipts_are_there(desk, message)


def test_a_replay_that_changes_nothing_gives_nothing_and_its_trail_names_no_receipt(desk: Desk) -> None:
    message = refused(desk)
    strict = desk.rules.policy.model_copy(update={"declaration": DeclarationPolicy(lines=1)})
    desk.rules = replace(desk.rules, policy=strict)
    replayed(desk, message, LATER)
    judged(desk, LATER + MINUTE)
    assert said(desk, message) == ["rejected"]
    assert "receipt" not in trail(desk, message)[-1][2]
    named_receipts_are_there(desk, message)


def test_a_replay_into_a_repetition_gives_the_receipts_of_what_it_repeats(desk: Desk) -> None:
    message = refused(desk)
    body = render(Declaration(reference="R1", lines=lines(2)))
    second = desk.judged(BROKER, "again.xml", body)
    assert second.event is Event.PASSED
    replayed(desk, message, LATER)
    assert judged(desk, LATER + MINUTE).event is Event.REPEATED
    assert said(desk, message) == ["rejected", "accepted"]
    shown_ = gateway(desk, "messages", "show", message, "--json").json
    finals = [each["verdict"] for each in shown_["receipts"] if each["final"]]
    assert finals == ["accepted"]


def test_one_that_is_held_after_its_refusal_is_told_once_and_told_again_after_the_next(desk: Desk) -> None:
    message = lacking(desk)
    at = LATER

    def held_and_told() -> None:
        nonlocal at
        at += timedelta(minutes=10)
        stopped(desk, message, at)
        for _ in range(2):
            at += timedelta(minutes=10)
            for untold in asyncio.run(desk.messages.untold(at - 5 * MINUTE, at - 5 * MINUTE, {}, 10)):
                receipt = asyncio.run(desk.judges.pending_receipt(untold, at))
                asyncio.run(desk.messages.announce(untold, receipt, at))

    replayed(desk, message, at)
    judged(desk, at + MINUTE)
    held_and_told()
    assert said(desk, message) == ["rejected", "waiting", "held"]
    desk.database.submit(lambda to: release(to, message, "tests", "why", at)).result()
    judged(desk, at + MINUTE)
    held_and_told()
    assert said(desk, message) == ["rejected", "waiting", "held", "waiting", "held"]


@pytest.mark.parametrize("order", list(itertools.product(("refused", "waits"), repeat=3)), ids="-".join)
def test_after_every_replay_the_last_word_to_the_sender_is_where_its_message_stands(
    desk: Desk, order: tuple[str, ...]
) -> None:
    """Replayed three times, into each of the two in every order."""
    message, at = lacking(desk), LATER
    lenient = desk.rules
    policy = lenient.policy.model_copy(update={"declaration": DeclarationPolicy(lines=1)})
    for comes_to in order:
        at += timedelta(hours=1)
        if desk.message(message)["state"] == State.WAITING:
            stopped(desk, message, at)
        desk.rules = replace(lenient, policy=policy) if comes_to == "refused" else lenient
        replayed(desk, message, at + MINUTE, Stage.JUDGEMENT)
        judged(desk, at + 2 * MINUTE)
        last = {"refused": "rejected", "waits": "waiting"}[comes_to]
        assert said(desk, message)[-1] == last
        named_receipts_are_there(desk, message)

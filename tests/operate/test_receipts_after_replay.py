"""Whatever a message comes to after its final receipt, its sender is told: and dry run and trail agree."""

import asyncio
import hashlib
import itertools
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import pytest

from adapters.store.tables.messages import receipts
from adapters.store.write.pending_receipts import SqlPendingReceipts
from gateway.model.decision import Decision
from gateway.model.policy import DeclarationPolicy
from gateway.model.states import Event, State
from gateway.operate.message_actions import ReplayStage
from tests.support.acts import hold, release, replay
from tests.support.association import agreement_document
from tests.support.declarations import Declaration, lines
from tests.support.harness import LATER, Harness
from tests.support.operating import BROKER, NUMBER, gateway, judge_again, refused, trail
from tests.support.rendering import render

MINUTE: Final = timedelta(minutes=1)


def refused_and_awaiting(harness: Harness, reference: str = "R1") -> str:
    """One that the policy of its day refused, and that today would wait for an agreement."""
    present = harness.rules
    strict = present.policy.model_copy(update={"declaration": DeclarationPolicy(lines=1)})
    harness.rules = replace(present, policy=strict)
    body = render(Declaration(reference=reference, lines=lines(2), documents=(agreement_document(NUMBER),)))
    decision = harness.judged(BROKER, f"{reference}.xml", body)
    harness.rules = present
    assert decision.event is Event.REFUSED
    return decision.message


def verdicts(harness: Harness, message: str) -> list[str]:
    """The verdicts of the gateway's receipts that its sender was given, oldest first."""
    rows = harness.rows(receipts, message=message, account=BROKER, kind="gateway")
    return [row["verdict"] for row in rows]


def replayed(harness: Harness, message: str, at: datetime, stage: ReplayStage | None = None) -> None:
    harness.database.submit(lambda to: replay(to, message, "tests", "why", at, stage=stage)).result()


def stopped(harness: Harness, message: str, at: datetime) -> None:
    harness.database.submit(lambda to: hold(to, message, "tests", "why", at)).result()


def judged(harness: Harness, at: datetime) -> Decision:
    return judge_again(harness, at)


def named_receipts_are_there(harness: Harness, message: str) -> None:
    receipt_rows = {
        hashlib.sha256(row["body"]).hexdigest() for row in harness.rows(receipts, message=message)
    }
    named = [detail["receipt"] for _event, _actor, detail in trail(harness, message) if "receipt" in detail]
    assert set(named) <= receipt_rows


def test_a_replay_after_a_refusal_into_waiting_gives_a_pending_receipt_and_then_another_final_one(
    harness: Harness,
) -> None:
    message = refused_and_awaiting(harness)
    (would,) = gateway(harness, "messages", "replay", message, "--dry-run", "--json").json
    assert [(receipt["verdict"], receipt["final"]) for receipt in would["receipts"]] == [("waiting", False)]
    replayed(harness, message, LATER)
    judged(harness, LATER + MINUTE)
    assert verdicts(harness, message) == ["rejected", "waiting"]
    # The agreement does not come: the same verdict as before, and told all the same.
    assert harness.expired(LATER + timedelta(days=40)) == 1
    judged(harness, LATER + timedelta(days=40, minutes=1))
    assert harness.message(message)["state"] == State.REJECTED
    assert verdicts(harness, message) == ["rejected", "waiting", "rejected"]
    named_receipts_are_there(harness, message)


def test_a_wait_before_and_one_after_a_refusal_each_give_a_pending_receipt(harness: Harness) -> None:
    body = render(Declaration(reference="R1", lines=lines(2), documents=(agreement_document(NUMBER),)))
    message = harness.judged(BROKER, "R1.xml", body).message
    assert verdicts(harness, message) == ["waiting"]
    rejected = gateway(harness, "messages", "reject", message, "--reason", "not ours")
    assert rejected.code == 0, rejected.err
    replayed(harness, message, LATER)
    (would,) = gateway(harness, "messages", "hold", message, "--dry-run", "--json").json
    assert would["receipts"] == []
    judged(harness, LATER + MINUTE)
    assert verdicts(harness, message) == ["waiting", "rejected", "waiting"]
    named_receipts_are_there(harness, message)


def test_a_dry_run_of_a_second_rejection_says_what_its_sender_gets(harness: Harness) -> None:
    message = refused_and_awaiting(harness)
    replayed(harness, message, LATER)
    judged(harness, LATER + MINUTE)
    (would,) = gateway(harness, "messages", "reject", message, "--dry-run", "--json").json
    assert ("rejected", True) in [(receipt["verdict"], receipt["final"]) for receipt in would["receipts"]]
    done = gateway(harness, "messages", "reject", message, "--reason", "not ours")
    assert done.code == 0, done.err
    assert verdicts(harness, message) == ["rejected", "waiting", "rejected"]
    named_receipts_are_there(harness, message)


def test_a_replay_that_changes_nothing_gives_nothing_and_its_trail_names_no_receipt(harness: Harness) -> None:
    message = refused(harness)
    strict = harness.rules.policy.model_copy(update={"declaration": DeclarationPolicy(lines=1)})
    harness.rules = replace(harness.rules, policy=strict)
    replayed(harness, message, LATER)
    judged(harness, LATER + MINUTE)
    assert verdicts(harness, message) == ["rejected"]
    assert "receipt" not in trail(harness, message)[-1][2]
    named_receipts_are_there(harness, message)


def test_a_replay_into_a_repetition_gives_the_receipts_of_what_it_repeats(harness: Harness) -> None:
    message = refused(harness)
    body = render(Declaration(reference="R1", lines=lines(2)))
    second = harness.judged(BROKER, "again.xml", body)
    assert second.event is Event.PASSED
    replayed(harness, message, LATER)
    assert judged(harness, LATER + MINUTE).event is Event.REPEATED
    assert verdicts(harness, message) == ["rejected", "accepted"]
    shown_ = gateway(harness, "messages", "show", message, "--json").json
    finals = [receipt["verdict"] for receipt in shown_["receipts"] if receipt["final"]]
    assert finals == ["accepted"]


def test_a_message_held_after_a_refusal_gives_one_pending_receipt_per_refusal(
    harness: Harness,
) -> None:
    message, store = refused_and_awaiting(harness), SqlPendingReceipts(harness.database)
    at = LATER

    def held_and_told() -> None:
        nonlocal at
        at += timedelta(minutes=10)
        stopped(harness, message, at)
        for _ in range(2):
            at += timedelta(minutes=10)
            for pending in asyncio.run(store.claim(at - 5 * MINUTE, at - 5 * MINUTE, {}, 10, at)):
                receipt = asyncio.run(harness.judges.pending_receipt(pending, at))
                asyncio.run(store.send(pending, receipt, at))

    replayed(harness, message, at)
    judged(harness, at + MINUTE)
    held_and_told()
    assert verdicts(harness, message) == ["rejected", "waiting", "held"]
    harness.database.submit(lambda to: release(to, message, "tests", "why", at)).result()
    judged(harness, at + MINUTE)
    held_and_told()
    assert verdicts(harness, message) == ["rejected", "waiting", "held", "waiting", "held"]


@pytest.mark.parametrize("order", list(itertools.product(("refused", "waits"), repeat=3)), ids="-".join)
def test_after_every_replay_the_last_receipt_shows_the_state_of_the_message(
    harness: Harness, order: tuple[str, ...]
) -> None:
    """Replayed three times, into each of the two in every order."""
    message, at = refused_and_awaiting(harness), LATER
    lenient = harness.rules
    policy = lenient.policy.model_copy(update={"declaration": DeclarationPolicy(lines=1)})
    for comes_to in order:
        at += timedelta(hours=1)
        if harness.message(message)["state"] == State.WAITING:
            stopped(harness, message, at)
        harness.rules = replace(lenient, policy=policy) if comes_to == "refused" else lenient
        replayed(harness, message, at + MINUTE, ReplayStage.JUDGEMENT)
        judged(harness, at + 2 * MINUTE)
        last = {"refused": "rejected", "waits": "waiting"}[comes_to]
        assert verdicts(harness, message)[-1] == last
        named_receipts_are_there(harness, message)

"""A message whose judgement ends its worker stops with its reason; the others go on."""

import os
import signal
from typing import Any

from sqlalchemy import select

from adapters.cli.exit_codes import INTERNAL
from adapters.home.clock import utc_now
from adapters.store.read.message_detail import show_message
from adapters.store.tables.messages import messages
from bench.processes import descendants
from tests.support.declarations import Declaration
from tests.support.invariants import unfinished, violations
from tests.support.rendering import render
from tests.system.conftest import Mortal

ACCOUNT = "broker-aa"


def test_a_message_that_crashes_three_judgements_is_held_and_reported_and_judged_again_on_a_replay(
    mortal: Mortal,
) -> None:
    poison, other = send(mortal, "dies", times=3), send(mortal)
    held = mortal.until(lambda: message_json(mortal, poison, state="held"))
    assert held["reason"] == "3 judgements of it crashed; the last: its worker ended"
    assert held["receipts"] == []
    mortal.until(lambda: message_json(mortal, other, state="closed"))
    assert violations(mortal.home) == []

    mortal.hurry(seconds=360)
    (name,) = mortal.until(lambda: receipts(mortal, poison))
    pending = mortal.read(ACCOUNT, f"/InBox/{name}")
    assert b"<Verdict>held</Verdict><Final>false</Final>" in pending
    assert b"judgement" not in pending

    mortal.forget_plan()
    replayed = mortal.cli("messages", "replay", held["id"], "--reason", "mended")
    assert replayed.returncode == 0, replayed.stderr
    mortal.until(lambda: not unfinished(mortal.home))
    assert message_json(mortal, poison, state="closed")["attempts"] == 1
    assert violations(mortal.home) == []
    assert len([name for name in receipts(mortal, poison) if name.startswith("Gateway_")]) == 2


def test_a_judgement_that_takes_too_long_is_ended_and_made_again(mortal: Mortal) -> None:
    slow = send(mortal, "hangs", times=1)
    mortal.until(lambda: not unfinished(mortal.home))
    assert message_json(mortal, slow, state="closed")["attempts"] == 2
    assert violations(mortal.home) == []


def test_a_worker_that_dies_once_costs_its_message_an_attempt_and_nothing_else(mortal: Mortal) -> None:
    unlucky = send(mortal, "dies", times=1)
    mortal.until(lambda: not unfinished(mortal.home))
    assert message_json(mortal, unlucky, state="closed")["attempts"] == 2
    assert violations(mortal.home) == []


def test_a_node_that_cannot_start_workers_any_more_ends_and_the_next_judges_what_it_left(
    mortal: Mortal,
) -> None:
    forks, *_workers = descendants(mortal.pid)
    os.kill(forks, signal.SIGKILL)
    assert mortal.ended() == INTERNAL
    assert "the process that forks others has ended" in mortal.log.read_text()
    mortal.start()
    name = send(mortal)
    mortal.until(lambda: not unfinished(mortal.home))
    assert message_json(mortal, name, state="closed")


def send(mortal: Mortal, what: str | None = None, *, times: int = 0) -> str:
    """The reference of a declaration that was sent, and whose judgements end as planned."""
    reference = mortal.next_name()
    if what is not None:
        mortal.plan("worker", f"{reference}.xml", what, times)
    mortal.send(ACCOUNT, f"{reference}.xml", render(Declaration(reference=reference)))
    return reference


def message_json(mortal: Mortal, name: str, *, state: str) -> dict[str, Any]:
    """What operators see of a message; nothing while it is in another state."""
    with mortal.reading() as store:
        row = store.execute(select(messages).where(messages.c.name == f"{name}.xml")).one()
        return show_message(store, row, utc_now()) if row.state == state else {}


def receipts(mortal: Mortal, name: str) -> list[str]:
    return [file for file in mortal.inbox(ACCOUNT) if f"_{name}_" in file]

"""SIGKILL at each durable boundary, then a start: nothing is lost, and nothing has a second effect."""

import signal
import sqlite3
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import paramiko
import pytest
from sqlalchemy import select

from adapters.store.tables.messages import messages
from gateway.model.blobs import SMALL
from tests.support.declarations import owing_nothing
from tests.support.invariants import unfinished, violations
from tests.support.rendering import render
from tests.system.conftest import Mortal

ACCOUNT = "broker-aa"
KEEP = "keep-a-blob"
ADD = "add-a-message-uncommitted"


@dataclass(frozen=True, slots=True)
class Crash:
    """What is planned (see `crashing`), and how many messages of the sender are in the store after it. The
    package is `small`, a row of the store, or a blob."""

    name: str
    place: str
    moment: str
    nth: int = 1
    stored: int = 1
    small: bool = True

    def package(self, reference: str) -> bytes:
        return declaration(reference) + (b"" if self.small else b" " * SMALL)


INTAKE = [
    Crash("before the blob is kept", KEEP, "before", stored=0, small=False),
    Crash("after the blob is kept", KEEP, "after", stored=0, small=False),
    Crash("before the message of a blob is committed", ADD, "after", stored=0, small=False),
    Crash("before the message is added", "add-a-message", "before", stored=0),
    Crash("before the message is committed", ADD, "after", stored=0),
    Crash("after the message is committed", "add-a-message", "after"),
]
AFTER_INTAKE = [
    Crash("before the decision", "decide", "before"),
    Crash("before the decision is committed", "decide-uncommitted", "after"),
    Crash("after the decision", "decide", "after"),
    Crash("before the delivery's claim is committed", "claim-a-delivery-uncommitted", "after"),
    Crash("before the submission", "a-sandbox-takes-a-submission", "before"),
    Crash("before customs commits", "customs-notes-a-submission", "after"),
    Crash("after customs took it", "a-sandbox-takes-a-submission", "after"),
    Crash("before the settlement is committed", "settle-a-delivery-uncommitted", "after"),
    Crash("after the settlement", "settle-a-delivery", "after"),
    Crash("before the answers are filed", "file-answers", "before"),
    Crash("before the answers are committed", "file-answers-uncommitted", "after"),
    Crash("after the answers are filed", "file-answers", "after"),
    Crash("before the answers are acknowledged", "a-sandbox-hears-that-answers-are-filed", "before"),
    Crash("after the answers are acknowledged", "a-sandbox-hears-that-answers-are-filed", "after"),
]


@pytest.mark.parametrize("crash", INTAKE, ids=lambda crash: crash.name)
def test_an_upload_during_which_the_node_is_killed_is_not_acknowledged_and_can_be_sent_again(
    mortal: Mortal, crash: Crash
) -> None:
    name = mortal.next_name()
    mortal.plan("node", crash.place, crash.moment, crash.nth)
    with pytest.raises((OSError, EOFError, paramiko.SSHException)):
        mortal.send(ACCOUNT, f"{name}.xml", crash.package(name))
    assert mortal.ended() == -signal.SIGKILL
    assert stored(mortal, name) == crash.stored
    mortal.start()
    assert list((mortal.home.blobs / "spool").iterdir()) == []
    mortal.send(ACCOUNT, f"{name}.xml", crash.package(name))
    mortal.until(lambda: not unfinished(mortal.home))
    assert stored(mortal, name) == crash.stored + 1
    assert violations(mortal.home) == []
    assert submissions_taken(mortal, name) == 1


def test_a_close_during_which_the_node_is_killed_is_not_acknowledged(mortal: Mortal, tmp_path: Path) -> None:
    name = mortal.next_name()
    (tmp_path / f"{name}.xml").write_bytes(declaration(name))
    mortal.plan("node", "add-a-message-uncommitted", "after", 1)
    put = mortal.login(ACCOUNT).sftp(f"put {tmp_path}/{name}.xml /OutBox/")
    assert put.returncode != 0
    assert mortal.ended() == -signal.SIGKILL
    mortal.start()
    assert stored(mortal, name) == 0
    assert violations(mortal.home) == []


@pytest.mark.parametrize("crash", AFTER_INTAKE, ids=lambda crash: crash.name)
def test_an_acknowledged_message_goes_on_wherever_the_node_was_killed(mortal: Mortal, crash: Crash) -> None:
    name = mortal.next_name()
    mortal.plan("node", crash.place, crash.moment, crash.nth)
    mortal.send(ACCOUNT, f"{name}.xml", declaration(name))
    assert mortal.ended() == -signal.SIGKILL
    assert_goes_on(mortal, name)


def test_a_message_goes_on_when_its_claim_is_all_that_was_written(mortal: Mortal) -> None:
    name = mortal.next_name()
    mortal.plan("node", "claim-a-message-uncommitted", "after", 1)
    # It is stored when it is claimed; the node may die before it has told the client so.
    with suppress(OSError, EOFError, paramiko.SSHException):
        mortal.send(ACCOUNT, f"{name}.xml", declaration(name))
    assert mortal.ended() == -signal.SIGKILL
    assert_goes_on(mortal, name)


def test_a_message_goes_on_when_the_node_is_killed_during_its_judgement(mortal: Mortal) -> None:
    name = mortal.next_name()
    mortal.plan("worker", f"{name}.xml", "ends-node", 1)
    mortal.send(ACCOUNT, f"{name}.xml", declaration(name))
    assert mortal.ended() == -signal.SIGKILL
    assert_goes_on(mortal, name)


def declaration(reference: str) -> bytes:
    return render(owing_nothing(reference))


def assert_goes_on(mortal: Mortal, name: str) -> None:
    """After the crash nothing is wrong, and after a start the message comes to its end, once."""
    assert stored(mortal, name) == 1
    assert violations(mortal.home) == []
    mortal.start()
    mortal.until(lambda: not unfinished(mortal.home))
    receipts = Counter(file.split("_")[0] for file in mortal.inbox(ACCOUNT) if f"_{name}_" in file)
    assert receipts == {"Gateway": 1, "Successed": 1, "Receipt": 4}
    assert violations(mortal.home) == []
    assert submissions_taken(mortal, name) == 1


def stored(mortal: Mortal, name: str) -> int:
    with mortal.reading() as store:
        return len(store.execute(select(messages.c.id).where(messages.c.name == f"{name}.xml")).all())


def submissions_taken(mortal: Mortal, reference: str) -> int:
    """How often customs took something new under this reference."""
    with closing(sqlite3.connect(mortal.home.path / "backends" / "customs" / "customs.db")) as customs:
        rows = customs.execute("SELECT key FROM submissions WHERE reference = ?", (reference,)).fetchall()
    return len(rows)

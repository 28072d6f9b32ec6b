"""Answers of customs that came out of order, and the node killed among them."""

import signal
import sqlite3
from contextlib import closing

from sqlalchemy import select

from adapters.store.tables.messages import messages
from tests.support.declarations import owing_nothing
from tests.support.invariants import unfinished, violations
from tests.support.rendering import render
from tests.system.conftest import Mortal

ACCOUNT = "broker-aa"
FILE = "file-answers"


def test_answers_that_waited_for_their_declaration_reach_it_when_the_node_is_killed_as_it_becomes_known(
    mortal: Mortal,
) -> None:
    name = mortal.next_name()
    mortal.plan("node", FILE, "before", 1)
    mortal.send(ACCOUNT, f"{name}.xml", render(owing_nothing(name)))
    assert mortal.ended() == -signal.SIGKILL
    say_technical_answer_last(mortal, name)

    mortal.plan("node", FILE, "after", 1)  # four wait for the SeqNo that the fifth brings
    mortal.start()
    assert mortal.ended() == -signal.SIGKILL
    assert waiting(mortal) == 4
    assert violations(mortal.home) == []

    mortal.start()
    mortal.until(lambda: not unfinished(mortal.home))
    assert waiting(mortal) == 0
    assert len([file for file in mortal.inbox(ACCOUNT) if f"_{name}_" in file]) == 6
    assert violations(mortal.home) == []


def say_technical_answer_last(mortal: Mortal, reference: str) -> None:
    """As an exchange of files may: nor does it tell which submission is answered."""
    with closing(sqlite3.connect(mortal.home.path / "backends" / "customs" / "customs.db")) as customs:
        (key,) = customs.execute("SELECT key FROM submissions WHERE reference = ?", (reference,)).fetchone()
        customs.execute(
            "UPDATE answers SET id = (SELECT max(id) + 1 FROM answers)"
            " WHERE id = (SELECT min(id) FROM answers WHERE key = ?)",
            (key,),
        )
        customs.execute("UPDATE answers SET key = '' WHERE key = ?", (key,))
        customs.commit()


def waiting(mortal: Mortal) -> int:
    with mortal.reading() as store:
        query = select(messages.c.id).where(messages.c.kind == "answer", messages.c.state == "waiting")
        return len(store.execute(query).all())

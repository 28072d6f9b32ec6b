"""A home made of a backup is served: what its first home sent after the backup is asked about, not sent."""

import sqlite3
from contextlib import closing
from pathlib import Path
from shutil import copyfile
from typing import Any

from sqlalchemy import select

from adapters.home.home import Home
from adapters.store.tables.messages import deliveries, messages
from gateway.model.states import State
from tests.support.association import ACCOUNT, agreement, agreement_document, signed_notice
from tests.support.declarations import Declaration
from tests.support.invariants import violations
from tests.support.rendering import render
from tests.support.served import Gateway

BROKER = "broker-aa"
NUMBER = "195200016172325"
SETTLED, UNSETTLED, WAITING = "SETTLED000000001", "UNSETTLED0000001", "WAITING000000001"


def state(gateway: Gateway, reference: str) -> str | None:
    with gateway.reading() as store:
        own = (messages.c.reference == reference, messages.c.kind == "inbound")
        return store.execute(select(messages.c.state).where(*own)).scalar()


def declared(gateway: Gateway, reference: str, *, at_rest: State, **terms: Any) -> None:
    gateway.send(BROKER, f"{reference}.xml", render(Declaration(reference=reference, **terms)))
    gateway.until(lambda: state(gateway, reference) == at_rest)


def output(gateway: Gateway, *arguments: object) -> str:
    done = gateway.cli(*map(str, arguments))
    assert done.returncode == 0, done.stderr
    return done.stdout


def went_on(gateway: Gateway) -> None:
    """Customs takes again, and the association tells of the agreement that one waits for."""
    output(gateway, "backends", "resume", "customs", "--reason", "maintained")
    gateway.send(ACCOUNT, "notice.xml", signed_notice(gateway.home, agreement(NUMBER)))
    sent = (State.DELIVERED, State.CLOSED)
    gateway.until(lambda: {state(gateway, reference) for reference in (UNSETTLED, WAITING)} <= set(sent))


def calls(home: Home) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(home.path / "backends" / "customs" / "customs.db")) as customs:
        return customs.execute("SELECT * FROM calls ORDER BY id").fetchall()


def test_nothing_that_was_sent_after_a_backup_is_sent_again_by_what_is_restored(tmp_path: Path) -> None:
    with Gateway(tmp_path) as gateway:
        first = gateway.home
        declared(gateway, SETTLED, at_rest=State.CLOSED)
        output(gateway, "backends", "pause", "customs", "--reason", "maintenance")
        declared(gateway, UNSETTLED, at_rest=State.ACCEPTED)
        declared(gateway, WAITING, at_rest=State.WAITING, documents=(agreement_document(NUMBER),))
        output(gateway, "backup", tmp_path / "backup")
        went_on(gateway)
        assert gateway.stop() == 0

        gateway.home = Home(tmp_path / "restored")
        output(gateway, "restore", tmp_path / "backup", "--home", gateway.home.path)
        # Customs is as the first home left it.
        for name in ("customs.db", "customs.db-wal"):
            if (source := first.path / "backends" / "customs" / name).exists():
                copyfile(source, gateway.home.path / "backends" / "customs" / name)
        before = calls(gateway.home)
        gateway.start()
        assert state(gateway, SETTLED) == State.CLOSED
        went_on(gateway)
        with gateway.reading() as store:
            rows = {row.id: row.reference for row in store.execute(select(messages))}
            notes = {rows[row.message]: row.note for row in store.execute(select(deliveries))}
        assert (notes[UNSETTLED], notes[WAITING]) == ("asked by key", "asked by key")
        assert gateway.stop() == 0
        assert calls(gateway.home) == before
        assert violations(gateway.home) == []

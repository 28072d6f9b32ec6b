"""A backup is the home at one moment, and what is restored goes on from there; whatever is not as it was
copied is found, and nothing half-made is left."""

import asyncio
import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, select, update

from adapters.home.backup import CONTENTS, BadBackup, back_up
from adapters.home.home import HomeLocked
from adapters.home.restore import restore
from adapters.store.claims import queue_for_sending
from adapters.store.database import Database, Transaction, sqlite_engine
from adapters.store.tables.messages import deliveries, events, messages, packages, receipts
from adapters.store.write.deliveries import SqlOutbox
from adapters.store.write.in_force import NODE
from adapters.store.write.messages import SqlMessages
from gateway.model.blobs import SMALL
from gateway.model.states import DeliveryState
from tests.support.declarations import Declaration
from tests.support.harness import NOW, Harness
from tests.support.rendering import render
from tests.support.stores import restarted

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    with Harness.at(tmp_path / "home") as harness:
        for number in range(3):
            reference = f"R{number}"
            harness.judged("broker-aa", f"{reference}.xml", render(Declaration(reference=reference)))
        for plenty in ("samples", "clients"):
            shutil.rmtree(harness.home.path / plenty)
        yield harness


def rows(home: Path, table: Table) -> list[dict[str, Any]]:
    engine = sqlite_engine(home / "gateway.db", read_only=True)
    with engine.connect() as reader:
        rows = [dict(row._mapping) for row in reader.execute(select(table).order_by(*table.primary_key))]
    engine.dispose()
    return rows


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_restored_home_has_every_row_package_key_and_setting(harness: Harness, tmp_path: Path) -> None:
    (harness.home.path / "backends" / "customs").mkdir(parents=True)
    (harness.home.path / "mail.password").write_text("secret")
    moment = back_up(harness.home, tmp_path / "backup", NOW)
    before = {table.name: harness.rows(table) for table in (messages, packages, receipts, events)}
    assert (moment.sequence, moment.missing) == (before["events"][-1]["sequence"], ())
    assert moment.at == before["events"][-1]["at"]
    harness.judged("broker-aa", "later.xml", render(Declaration(reference="later")) + b" " * SMALL)
    restored = restore(tmp_path / "backup", tmp_path / "new", "tests", LATER)
    assert (restored.sequence, restored.at) == (moment.sequence, moment.at)
    new = tmp_path / "new"
    for table in (messages, packages, receipts):
        assert rows(new, table) == before[table.name]
    *log, matching = rows(new, events)
    assert log == before["events"]
    assert (matching["message"], matching["event"], matching["actor"]) == (NODE, "restored", "tests")
    detail = json.loads(matching["detail"])
    assert (detail["stood_at"], detail["of"]) == (moment.sequence, str(harness.home.path))
    expected = {
        name: body for name, body in files(harness.home.path).items() if not name.startswith("gateway.db")
    }
    new_files = files(tmp_path / "new")
    left_out = {name for name in expected if name not in new_files} - {"lock"}
    assert {name for name in left_out if not name.startswith("blobs/")} == set()
    assert len(left_out) == 1  # the package that came later
    assert all(new_files[name] == body for name, body in expected.items() if name in new_files)


def test_nobody_but_the_owner_reads_a_backup_or_what_is_made_of_it(harness: Harness, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        back_up(harness.home, tmp_path / "backup", NOW)
        restore(tmp_path / "backup", tmp_path / "new", "tests", LATER)
        assert os.umask(0) == 0
    finally:
        os.umask(before)
    for folder in (tmp_path / "backup", tmp_path / "new"):
        for path in (folder, *folder.rglob("*")):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_deliveries_not_settled_before_a_backup_are_queried_before_they_are_sent(
    harness: Harness, tmp_path: Path
) -> None:
    states = [DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.HELD]
    own = [row["id"] for row in harness.rows(deliveries)]
    for id_, state in zip(own, states, strict=True):
        change = update(deliveries).where(deliveries.c.id == id_).values(state=state)
        harness.database.submit(partial(_execute, change)).result()
        harness.database.submit(partial(queue_for_sending, ids=[id_], due_at=NOW)).result()
    back_up(harness.home, tmp_path / "backup", NOW)
    restore(tmp_path / "backup", tmp_path / "new", "tests", LATER)
    matching = [(row["state"], row["unsure"]) for row in rows(tmp_path / "new", deliveries)]
    unknown, held = (DeliveryState.UNKNOWN, True), (DeliveryState.HELD, True)
    assert matching == [unknown, unknown, held]
    with closing(Database(sqlite_engine(tmp_path / "new" / "gateway.db"))) as database:
        claimed = asyncio.run(SqlOutbox(database, timedelta(hours=24)).claim("customs", 9, LATER))
    assert [item.unknown for item in claimed] == [True, True]


def test_messages_received_before_a_backup_are_queried_whenever_they_are_judged(
    harness: Harness, tmp_path: Path
) -> None:
    """The home that it came from may have judged and sent it after it was copied."""
    before = harness.received("broker-aa", "before.xml", render(Declaration(reference="BEFORE"))).arrival
    back_up(harness.home, tmp_path / "backup", NOW)
    after = harness.received("broker-aa", "after.xml", render(Declaration(reference="AFTER"))).arrival
    restore(tmp_path / "backup", tmp_path / "new", "tests", LATER)
    with closing(Database(sqlite_engine(tmp_path / "new" / "gateway.db"))) as database:
        restored = SqlMessages(database)
        asyncio.run(restarted(database, LATER))
        asyncio.run(restored.add(after))
        for received in asyncio.run(restored.claim(9, LATER, timedelta(minutes=1))):
            asyncio.run(restored.decide(harness.judgement(received, LATER), LATER))
    sent = {row["message"]: (row["state"], row["unsure"]) for row in rows(tmp_path / "new", deliveries)}
    assert sent[before.id] == (DeliveryState.UNKNOWN, True)
    assert sent[after.id] == (DeliveryState.PENDING, False)


def _execute(change: Any, transaction: Transaction) -> None:
    transaction.connection.execute(change)


def test_a_home_that_is_served_is_not_doubled(harness: Harness, tmp_path: Path) -> None:
    back_up(harness.home, tmp_path / "backup", NOW)
    with harness.home.locked(), pytest.raises(HomeLocked):
        restore(tmp_path / "backup", tmp_path / "new", "tests", LATER)
    assert not (tmp_path / "new").exists()
    restore(tmp_path / "backup", tmp_path / "new", "tests", LATER)


def test_whatever_was_changed_in_a_backup_is_found_and_nothing_is_left(
    harness: Harness, tmp_path: Path
) -> None:
    """Every file of it: changed, gone, and one that was added."""
    backup, new = tmp_path / "backup", tmp_path / "new"
    harness.judged("broker-aa", "large.xml", render(Declaration(reference="LARGE")) + b" " * SMALL)
    back_up(harness.home, backup, NOW)
    package = next(name for name in files(backup) if name.startswith("blobs/"))
    for name in ("gateway.db", "gateway.toml", "keys/gateway.key", "keys/gateway.crt", CONTENTS, package):
        path, body = backup / name, (backup / name).read_bytes()
        for changed in (body[:-1], b"\0" + body[1:], None):
            path.unlink()
            if changed is not None:
                path.write_bytes(changed)
            if name == package and changed is None:
                # What refers to it says so; all else is as it was.
                assert restore(backup, new, "tests", LATER).missing == (path.name,)
                shutil.rmtree(new)
            else:
                with pytest.raises(BadBackup):
                    restore(backup, new, "tests", LATER)
                assert not new.exists() or not list(new.iterdir())
        path.write_bytes(body)
    (backup / "added").write_text("x")
    with pytest.raises(BadBackup):
        restore(backup, new, "tests", LATER)
    (backup / "added").unlink()
    restore(backup, new, "tests", LATER)


def test_neither_a_backup_nor_a_restored_home_overwrites_anything(harness: Harness, tmp_path: Path) -> None:
    restored_home = tmp_path / "there"
    restored_home.mkdir()
    (restored_home / "file").write_text("kept")
    with pytest.raises(BadBackup):
        back_up(harness.home, restored_home, NOW)
    back_up(harness.home, tmp_path / "backup", NOW)
    with pytest.raises(BadBackup):
        restore(tmp_path / "backup", restored_home, "tests", LATER)
    assert files(restored_home) == {"file": b"kept"}


def test_a_backup_inside_the_home_is_distinguished_from_files_outside_of_it(
    harness: Harness, tmp_path: Path
) -> None:
    outside = tmp_path / "password"
    outside.write_text("secret")
    with (harness.home.path / "gateway.toml").open("a") as file:
        file.write(f'\n[amqp]\nuser = "gateway"\npassword_file = "{outside}"\n')
    moment = back_up(harness.home, harness.home.path / "copies" / "1", NOW)
    assert moment.outside == (str(outside),)
    assert "copies/1/gateway.db" not in files(harness.home.path / "copies" / "1")
    assert (
        restore(harness.home.path / "copies" / "1", tmp_path / "new", "tests", LATER).outside
        == moment.outside
    )

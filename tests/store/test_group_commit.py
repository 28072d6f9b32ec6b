"""Changes that share a commit: one that fails takes no other with it, and leaves nothing behind."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from adapters.store.database import GENESIS, Database, Transaction, chained, sqlite_engine
from adapters.store.migrate import migrate
from adapters.store.tables.messages import events
from gateway.model.states import State

NOW: Final = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
_ADD: Final = text("INSERT INTO things (name) VALUES (:name)")
_NAMES: Final = text("SELECT name FROM things ORDER BY rowid")
WITHIN: Final = 30


class Group:
    """Changes that are made in one commit: the first holds the writer until all are there."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.runs: list[str] = []
        self._go_on = threading.Event()
        self._first = database.submit(lambda _transaction: self._go_on.wait(WITHIN))

    def add(self, name: str, *, fails: str = "") -> "Future[str]":
        def change(transaction: Transaction) -> str:
            self.runs.append(name)
            if fails == "before":
                raise ValueError(name)
            transaction.log(name, NOW, "added", "tests", State.RECEIVED)
            transaction.connection.execute(_ADD, {"name": name})
            transaction.connection.execute(_ADD, {"name": f"{name} again"})
            if fails == "after":
                raise ValueError(name)
            return name

        return self.database.submit(change)

    def commit(self) -> None:
        self._go_on.set()
        assert self._first.result(WITHIN)

    def kept(self) -> list[str]:
        with self.database.engine.connect() as reader:
            return list(reader.execute(_NAMES).scalars())

    def logged(self) -> list[str]:
        """The subjects of the log, whose chain is sound."""
        digest, subjects = GENESIS, list[str]()
        with self.database.engine.connect() as reader:
            for row in reader.execute(events.select().order_by(events.c.sequence)).all():
                entry: dict[str, Any] = {
                    "message": row.message,
                    "at": row.at.isoformat(),
                    "event": row.event,
                    "actor": row.actor,
                    "state": row.state,
                    "detail": {},
                }
                digest = chained(digest, entry)
                assert (row.sequence, row.digest) == (len(subjects) + 1, digest)
                subjects.append(row.message)
        return subjects


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    migrate(tmp_path / "store.db")
    database = Database(sqlite_engine(tmp_path / "store.db"))
    with database.engine.connect() as connection:
        connection.execute(text("CREATE TABLE things (name TEXT)"))
    yield database
    database.close()


def test_one_that_fails_before_it_writes_is_left_out_and_the_others_run_once(database: Database) -> None:
    group = Group(database)
    one, bad, two = group.add("one"), group.add("bad", fails="before"), group.add("two")
    group.commit()
    assert (one.result(WITHIN), two.result(WITHIN)) == ("one", "two")
    assert isinstance(bad.exception(WITHIN), ValueError)
    assert group.runs == ["one", "bad", "two"]
    assert group.kept() == ["one", "one again", "two", "two again"]
    assert group.logged() == ["one", "two"]


def test_one_that_fails_after_it_has_written_leaves_nothing_and_takes_none_with_it(
    database: Database,
) -> None:
    group = Group(database)
    one, bad, two = group.add("one"), group.add("bad", fails="after"), group.add("two")
    group.commit()
    assert (one.result(WITHIN), two.result(WITHIN)) == ("one", "two")
    error = bad.exception(WITHIN)
    assert (type(error), str(error)) == (ValueError, "bad")
    assert group.kept() == ["one", "one again", "two", "two again"]
    assert group.logged() == ["one", "two"]


def test_a_change_that_fails_alone_after_it_has_written_leaves_nothing(database: Database) -> None:
    group = Group(database)
    group.commit()
    bad = group.add("bad", fails="after")
    assert str(bad.exception(WITHIN)) == "bad"
    assert group.add("next").result(WITHIN) == "next"
    assert group.kept() == ["next", "next again"]
    assert group.logged() == ["next"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(course=st.lists(st.sampled_from(["", "", "", "before", "after"]), min_size=1, max_size=12))
def test_whatever_fails_in_a_group_the_rest_is_kept_once_and_in_order(
    database: Database, course: list[str]
) -> None:
    group = Group(database)
    before, logged = group.kept(), group.logged()
    futures = [group.add(str(number), fails=fails) for number, fails in enumerate(course)]
    group.commit()
    for future, fails in zip(futures, course, strict=True):
        assert (future.exception(WITHIN) is None) == (not fails)
    good = [str(number) for number, fails in enumerate(course) if not fails]
    assert group.kept() == before + [name for each in good for name in (each, f"{each} again")]
    assert group.logged() == logged + good

"""What a node asks for every message or every half second is found by an index made for it, however full the
store: a plan that reads all that waits passes every other test."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Select
from sqlalchemy.dialects import sqlite

from adapters.store.claims import TO_JUDGE, TO_SEND, Queue
from adapters.store.database import sqlite_engine
from adapters.store.migrate import migrate
from adapters.store.read import mailbox, register_queries
from adapters.store.write import deliveries, failover, pending_receipts, waits


def _next_of(queue: Queue) -> Select[Any]:
    return queue._line


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (waits._FOR, "messages_in_wait (state=? AND waiting_for=?)"),
        (waits._OVERDUE, "messages_overdue (state=? AND until<?)"),
        (waits._OF_ITS_NAME, "messages_in_wait (state=? AND waiting_for=?)"),
        (waits._SEPARATE.params(awaited=["a"]), "messages_in_wait_spelt (state=? AND spelt=?)"),
        (register_queries.SEPARATE_ATTACHMENTS, "messages_in_wait_spelt (state=? AND spelt=?)"),
        (waits._FOR_SPELT, "messages_in_wait_spelt (state=? AND spelt=?)"),
        (waits._WOKEN_BY_SPELT, "messages_woken_spelt (state=? AND spelt=?)"),
        (waits._ONE_OF, "messages_in_wait (state=? AND waiting_for>? AND waiting_for<?)"),
        (waits._WOKEN_BY, "messages_woken (state=? AND waiting_for=?)"),
        (waits.VERSIONS, "messages_by_key (party=? AND family=? AND type=? AND reference=?)"),
        (_next_of(TO_JUDGE), "PRIMARY KEY (account=?)"),
        (TO_JUDGE._at_work, "to_judge_claimed (lease_until>?)"),
        (TO_JUDGE._ended, "to_judge_claimed (lease_until>? AND lease_until<?)"),
        (_next_of(TO_SEND), "to_send_due (destination=? AND account=? AND due_at<?)"),
        (TO_SEND._at_work, "to_send_claimed (destination=? AND lease_until>?)"),
        (TO_SEND._ended, "to_send_claimed"),
        (deliveries._OVERDUE, "deliveries_on_the_way (destination=? AND state=? AND since<?)"),
        (failover._WAITING, "deliveries_divertible (destination=?)"),
        (pending_receipts._NOT_NOTIFIED, "deliveries_not_told (destination=?)"),
        (mailbox.NEXT_MESSAGES, "messages_in_folder (account=? AND folder=? AND name>?)"),
        (mailbox.NEXT_RECEIPTS, "receipts_shown (account=? AND folder=? AND name>?)"),
    ],
    ids=[
        *("wake", "overdue", "a file's namesake", "files in wait", "a file in wait"),
        *("wake by a file", "a file claimed before"),
        *("one of several", "claimed before", "versions", "the next of an account", "at work", "left"),
        *("the next delivery", "on its way", "left on its way", "tried for too long", "to divert", "to tell"),
        *("a page of messages", "a page of receipts"),
    ],
)
def test_frequent_queries_use_an_index_of_their_own(
    statement: Select[Any], index: str, tmp_path: Path
) -> None:
    migrate(tmp_path / "gateway.db")
    engine = sqlite_engine(tmp_path / "gateway.db")
    compiled = statement.compile(dialect=sqlite.dialect(), compile_kwargs={"render_postcompile": True})
    with engine.connect() as connection:
        marks = (None,) * str(compiled).count("?")
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", marks)
        steps = [row.detail for row in plan]
    engine.dispose()
    assert steps[0].endswith(index), steps
    assert not any("TEMP B-TREE" in step for step in steps)


def test_the_accounts_that_have_something_to_judge_are_found_without_reading_what_they_have(
    tmp_path: Path,
) -> None:
    migrate(tmp_path / "gateway.db")
    engine = sqlite_engine(tmp_path / "gateway.db")
    with engine.connect() as connection:
        compiled = TO_JUDGE._oldest.compile(dialect=sqlite.dialect())
        marks = (None,) * str(compiled).count("?")
        steps = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", marks)]
    engine.dispose()
    # Of one that was woken, whether it is its turn, is looked up by itself.
    *accounts, woken = [step for step in steps if " to_judge" in step or " earlier" in step]
    assert woken.endswith("INDEX to_judge_in_line (turn=? AND item<?)")
    assert len(accounts) == 3
    assert all("USING PRIMARY KEY" in step for step in accounts), accounts
    assert not any("TEMP B-TREE" in step for step in steps)


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (TO_SEND._oldest, "(destination=?"),
        (deliveries._DESTINATIONS, "PRIMARY KEY"),
    ],
    ids=["accounts", "destinations"],
)
def test_destinations_with_work_are_found_without_reading_what_waits(
    statement: Select[Any], index: str, tmp_path: Path
) -> None:
    migrate(tmp_path / "gateway.db")
    engine = sqlite_engine(tmp_path / "gateway.db")
    with engine.connect() as connection:
        compiled = statement.compile(dialect=sqlite.dialect())
        marks = (None,) * str(compiled).count("?")
        steps = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", marks)]
    engine.dispose()
    scans = [step for step in steps if " to_send USING" in step]
    assert len(scans) >= 2
    assert all(index in step for step in scans), scans
    assert not any("TEMP B-TREE" in step for step in steps)

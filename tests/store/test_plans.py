"""What a node asks for every message or every half second is found by an index made for it, however full the
store: a plan that reads all that waits passes every other test."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Select
from sqlalchemy.dialects import sqlite

from adapters.store.database import sqlite_engine
from adapters.store.migrate import migrate
from adapters.store.read import mailbox, register_queries
from adapters.store.write import deliveries, failover, messages, pending_receipts, waits


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (waits._FOR, "messages_in_wait (state=? AND waiting_for=?)"),
        (waits._OVERDUE, "messages_overdue (state=? AND until<?)"),
        (waits._OF_ITS_NAME, "messages_in_wait (state=? AND waiting_for=?)"),
        (waits._SEPARATE.params(things=["a"]), "messages_in_wait_spelt (state=? AND spelt=?)"),
        (register_queries.LOOSE, "messages_in_wait_spelt (state=? AND spelt=?)"),
        (waits._FOR_SPELT, "messages_in_wait_spelt (state=? AND spelt=?)"),
        (waits._BEFORE_SPELT, "messages_woken_spelt (state=? AND spelt=? AND seq<?)"),
        (waits._ONE_OF, "messages_in_wait (state=? AND waiting_for>? AND waiting_for<?)"),
        (waits._BEFORE, "messages_woken (state=? AND waiting_for=? AND seq<?)"),
        (waits.VERSIONS, "messages_by_key (party=? AND family=? AND type=? AND reference=?)"),
        (messages._FOLLOWING, "messages_to_judge (state=? AND account=? AND seq>?)"),
        (messages._AT_WORK, "messages_at_work (state=? AND lease_until>?)"),
        (
            deliveries._FOLLOWING.params(chosen=[1], destination="", of="", now=None),
            "deliveries_to_send (destination=? AND account=? AND next_at<?)",
        ),
        (deliveries._AT_WORK, "deliveries_at_work (destination=?)"),
        (deliveries._OVERDUE, "deliveries_on_the_way (destination=? AND state=? AND since<?)"),
        (failover._WAITING, "deliveries_divertible (destination=?)"),
        (pending_receipts._NOT_TOLD, "deliveries_not_told (destination=?)"),
        (mailbox.NEXT_MESSAGES, "messages_in_folder (account=? AND folder=? AND name>?)"),
        (mailbox.NEXT_RECEIPTS, "receipts_shown (account=? AND folder=? AND name>?)"),
    ],
    ids=[
        *("wake", "overdue", "a file's namesake", "files in wait", "a file in wait"),
        *("wake by a file", "a file claimed before"),
        *("one of several", "claimed before", "versions", "the next of an account", "at work"),
        *("the next delivery", "on its way", "tried for too long", "to divert", "to tell"),
        *("a page of messages", "a page of receipts"),
    ],
)
def test_what_is_asked_all_the_time_is_found_by_its_own_index(
    statement: Select[Any], index: str, tmp_path: Path
) -> None:
    migrate(tmp_path / "gateway.db")
    engine = sqlite_engine(tmp_path / "gateway.db")
    asked = statement.compile(dialect=sqlite.dialect(), compile_kwargs={"render_postcompile": True})
    with engine.connect() as connection:
        marks = (None,) * str(asked).count("?")
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}", marks)
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
        asked = messages._OLDEST_DUE.compile(dialect=sqlite.dialect())
        marks = (None,) * str(asked).count("?")
        steps = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}", marks)]
    engine.dispose()
    # Of one that was woken, whether it is its turn, is looked up by itself.
    *accounts, woken = [step for step in steps if " messages" in step or " earlier" in step]
    assert woken.endswith("INDEX messages_woken (state=? AND waiting_for=? AND seq<?)")
    assert len(accounts) == 3
    assert all("INDEX messages_to_judge (state=?" in step for step in accounts), accounts
    assert not any("TEMP B-TREE" in step for step in steps)


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (deliveries._OLDEST_DUE, "deliveries_to_send (destination=?"),
        (deliveries._DESTINATIONS, "deliveries_to_send"),
    ],
    ids=["accounts", "destinations"],
)
def test_who_has_something_to_send_is_found_without_reading_what_waits(
    statement: Select[Any], index: str, tmp_path: Path
) -> None:
    migrate(tmp_path / "gateway.db")
    engine = sqlite_engine(tmp_path / "gateway.db")
    with engine.connect() as connection:
        asked = statement.compile(dialect=sqlite.dialect())
        marks = (None,) * str(asked).count("?")
        steps = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}", marks)]
    engine.dispose()
    found = [step for step in steps if " deliveries USING" in step]
    assert len(found) >= 2
    assert all(index in step for step in found), found
    assert not any("TEMP B-TREE" in step for step in steps)

"""What a node asks again and again, whatever happens, reads no table that grows with what was ever sent.

The statements are taken from the node itself while it does each of its rounds, so that a new one is found.
"""

import asyncio
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from adapters.monitor.snapshot import SnapshotReader
from adapters.store.read.operator_acts import acts_since
from adapters.store.read.outcome_stats import counts_by_fault, counts_by_triage
from tests.support.declarations import Declaration
from tests.support.harness import NOW, Harness
from tests.support.polling import StatementLog, rounds
from tests.support.rendering import packed
from tests.support.validating import families

_GROWING: Final = ("messages", "receipts", "deliveries", "events", "holders", "obligations", "requests")
_NEWEST: Final = "FROM events ORDER BY events.sequence DESC\n LIMIT ? OFFSET ?"  # reads one
_HOUR: Final = timedelta(hours=1)


def _partial(connection: Connection) -> set[str]:
    """Indexes that hold only what still waits for something."""
    rows = connection.exec_driver_sql(
        "SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %'"
    )
    indexes = {"listed_by_account", "listed_by_party", "listed_by_office", "listed_by_type", "listed_by_name"}
    return set(rows.scalars()) - indexes - {"answers_by_content", "one_final_receipt"}


def _reads_all(statement: str, step: str, waiting: set[str]) -> bool:
    words = step.split()
    if statement.endswith(_NEWEST):
        return False
    if words[0] != "SCAN" or words[1] not in _GROWING:
        return False
    return not ("INDEX" in words and words[words.index("INDEX") + 1] in waiting)


def test_polling_queries_never_scan_a_growing_table(tmp_path: Path) -> None:
    with Harness.at(tmp_path / "home") as harness:
        log = StatementLog()
        harness.judged("broker-aa", "a.zip", packed(Declaration(reference="R1")))
        harness.received("broker-aa", "b.zip", packed(Declaration(reference="R2")))
        log.listen(harness.database.engine)
        reader = SnapshotReader(
            harness.home, harness.home.settings(), lambda: NOW + _HOUR, (), (), {}, lambda _now: "", dict
        )
        log.listen(reader._engine)
        with closing(reader):
            asyncio.run(rounds(harness.database, reader, families(), NOW + _HOUR))
        with harness.database.engine.connect() as connection:
            waiting = _partial(connection)
            wrong = {}
            for statement, parameters in log.statements.items():
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", tuple(parameters))
                if reads := [row.detail for row in plan if _reads_all(statement, row.detail, waiting)]:
                    wrong[statement] = reads
    assert wrong == {}


def test_the_statistics_of_a_period_read_only_the_messages_received_in_it(tmp_path: Path) -> None:
    with Harness.at(tmp_path / "home") as harness:
        log = StatementLog()
        log.listen(harness.database.engine)
        with harness.database.engine.connect() as reader:
            counts_by_triage(reader, NOW, None, families())
            counts_by_fault(reader, NOW, None)
            steps = [
                row.detail
                for statement, parameters in log.statements.items()
                for row in reader.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", tuple(parameters))
                if row.detail.split()[1] in ("messages", "events")
            ]
    assert len(steps) == 4
    assert all(step.startswith("SEARCH") for step in steps), steps


def test_the_acts_of_one_person_are_counted_among_acts_alone(tmp_path: Path) -> None:
    with Harness.at(tmp_path / "home") as harness, harness.database.engine.connect() as reader:
        log = StatementLog()
        log.listen(harness.database.engine)
        acts_since(reader, NOW)
        counting = next(statement for statement in log.statements if "count(distinct" in statement)
        plan = reader.exec_driver_sql(f"EXPLAIN QUERY PLAN {counting}", log.statements[counting])
        steps = [row.detail for row in plan if row.detail.split()[1] == "events"]
    assert steps == ["SEARCH events USING INDEX events_of_operators (sequence>?)"]

"""What a node asks again and again, whatever happens, reads no table that grows with what was ever sent.

The statements are taken from the node itself while it does each of its rounds, so that a new one is found.
"""

import asyncio
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, event

from adapters.observing.looking import Looking
from adapters.stores.alarms import open_alarms, to_tell
from adapters.stores.destinations import SqlDestinations
from adapters.stores.figures import counts_by_fault, counts_by_triage
from adapters.stores.mailbox import SqlMailbox
from adapters.stores.outbox import SqlOutbox
from adapters.stores.postings import SqlPostings
from adapters.stores.replies import SqlReplies
from adapters.stores.requests import SqlRequests
from tests.declarations import Declaration
from tests.desk import NOW, Desk
from tests.rendering import packed
from tests.validating import families

_GROWING: Final = ("messages", "receipts", "deliveries", "events", "holders", "obligations", "requests")
_NEWEST: Final = "FROM events ORDER BY events.sequence DESC\n LIMIT ? OFFSET ?"  # reads one
_HOUR: Final = timedelta(hours=1)


class _Asked:
    """The statements that engines were given, with their parameters; each once."""

    def __init__(self) -> None:
        self.statements: dict[str, Any] = {}

    def listen(self, engine: Engine) -> None:
        event.listen(engine, "before_cursor_execute", self._note)

    def _note(self, _connection: object, _cursor: object, statement: str, given: Any, *_more: object) -> None:
        if statement.lstrip().startswith(("SELECT", "UPDATE", "WITH", "DELETE")):
            self.statements.setdefault(statement, given[0] if isinstance(given, list) else given)


def _partial(connection: Connection) -> set[str]:
    """Indexes that hold only what still waits for something."""
    found = connection.exec_driver_sql(
        "SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %'"
    )
    kept = {"listed_by_account", "listed_by_party", "listed_by_office", "listed_by_type", "listed_by_name"}
    return set(found.scalars()) - kept - {"answers_by_content", "one_final_receipt"}


def _reads_all(statement: str, step: str, waiting: set[str]) -> bool:
    words = step.split()
    if statement.endswith(_NEWEST):
        return False
    if words[0] != "SCAN" or words[1] not in _GROWING:
        return False
    return not ("INDEX" in words and words[words.index("INDEX") + 1] in waiting)


async def _rounds(desk: Desk, looking: Looking) -> None:
    """What the loops of the node and of its channels do at each round."""
    now, database = NOW + _HOUR, desk.database
    for _twice in range(2):
        await desk.messages.claim(4, now, _HOUR)
        await desk.messages.expire(now)
        await desk.messages.untold(now, now, {"customs": now}, 50)
        await desk.messages.recover()
        await looking.sight()
        await database.read(open_alarms)
        await database.read(lambda reader: to_tell(reader, "mail"))
        for accounts in (None, ["broker-aa"]):
            await SqlPostings(database).due(accounts, 10, now)
        await SqlReplies(database).known("broker-aa", "1", "0" * 64)
        await SqlMailbox(database).whereabouts("broker-aa", ["0" * 26])
        requests = SqlRequests(database)
        await requests.remind(now, (10,))
        await requests.untold(10)
        await SqlDestinations(database).known()
        outbox = SqlOutbox(database, _HOUR)
        await outbox.recover()
        for destination in ["customs", *await outbox.destinations()]:
            await outbox.divert(destination, {"other"}, "", now)
            await outbox.give_up(destination, now, "", now)
            await outbox.claim(destination, 4, now)


def test_nothing_that_is_asked_all_the_time_reads_a_table_that_grows(tmp_path: Path) -> None:
    with Desk.at(tmp_path / "home") as desk:
        asked = _Asked()
        desk.judged("broker-aa", "a.zip", packed(Declaration(reference="R1")))
        desk.received("broker-aa", "b.zip", packed(Declaration(reference="R2")))
        asked.listen(desk.database.engine)
        looking = Looking(
            desk.home, desk.home.settings(), lambda: NOW + _HOUR, (), (), {}, lambda _now: "", dict
        )
        asked.listen(looking._engine)
        with closing(looking):
            asyncio.run(_rounds(desk, looking))
        with desk.database.engine.connect() as connection:
            waiting = _partial(connection)
            wrong = {}
            for statement, given in asked.statements.items():
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", tuple(given))
                if reads := [row.detail for row in plan if _reads_all(statement, row.detail, waiting)]:
                    wrong[statement] = reads
    assert wrong == {}


def test_figures_of_a_period_read_what_came_in_it(tmp_path: Path) -> None:
    with Desk.at(tmp_path / "home") as desk:
        asked = _Asked()
        asked.listen(desk.database.engine)
        with desk.database.engine.connect() as reader:
            counts_by_triage(reader, NOW, None, families())
            counts_by_fault(reader, NOW, None)
            steps = [
                row.detail
                for statement, given in asked.statements.items()
                for row in reader.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", tuple(given))
                if row.detail.split()[1] in ("messages", "events")
            ]
    assert len(steps) == 4
    assert all(step.startswith("SEARCH") for step in steps), steps

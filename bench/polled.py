"""Queries that a node polls its store with, over a million messages, receipts, deliveries and events.

Each statement of the node's loops and monitoring is recorded from the loops themselves, and then run again
alone; its changes are rolled back.
"""

import asyncio
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

from sqlalchemy import Connection, Engine

from adapters.cli.init.init import create_home
from adapters.monitor.snapshot import SnapshotReader
from adapters.store.database import Database, sqlite_engine
from bench.listing import MESSAGES, fill
from bench.report import show, table
from gateway.families.families import Families
from tests.support.polling import StatementLog, rounds

_ROUNDS: Final = 5
_WORDS: Final = 90  # characters of a statement that are shown
# Beside the messages of `bench.listing`: of each an event, a receipt and a delivery; what still is to be done
# is as much as on a busy day, and one in two thousand was acted on by an operator.
_REST: Final = (
    """
INSERT INTO events (message, at, event, actor, state, detail, digest)
SELECT id, received_at, CASE WHEN seq % 2000 = 3 THEN 'replayed' ELSE 'passed' END,
    CASE WHEN seq % 2000 = 3 THEN 'operator-' || seq % 7 ELSE 'gateway' END, state, '{}', link_digest
FROM messages ORDER BY seq
""",
    """
INSERT INTO receipts (message, account, folder, name, kind, verdict, final, superseded, body, size,
    created_at, collected_at)
SELECT id, account, 'InBox', 'Gateway_' || seq || '.xml', 'gateway', 'accepted', 1, 0, zeroblob(200), 200,
    received_at, received_at
FROM messages
""",
    """
INSERT INTO to_post (account, item, due_at, fence)
SELECT account, id, created_at, 0 FROM receipts WHERE id > :count - 300
""",
    """
INSERT INTO deliveries (message, destination, account, about, key, state, envelope, package_sha256,
    package_name, package_size, since, created_at, changed_at, attempts, note)
SELECT id, 'customs', account, id, id, CASE WHEN seq > :count - 500 THEN 'pending' ELSE 'delivered' END,
    zeroblob(200), sha256, name, size, received_at, received_at, received_at, 1, ''
FROM messages
""",
    """
INSERT INTO to_send (destination, account, item, due_at, fence, about)
SELECT destination, account, id, created_at, attempts, about FROM deliveries WHERE state = 'pending'
""",
    """
INSERT INTO obligations (message, due, documents, sources, missing, released_at, due_at, remind_at, reminded,
    fulfilled_at)
SELECT id, 'after-release', '["00000001"]', '[]', CASE WHEN seq % 1000 = 1 THEN '["00000001"]' ELSE '[]' END,
    received_at, received_at, CASE WHEN seq % 1000 = 1 THEN received_at END, 0,
    CASE WHEN seq % 1000 = 1 THEN NULL ELSE received_at END
FROM messages
""",
)


def main(count: int = MESSAGES) -> None:
    with TemporaryDirectory(prefix="bench-polled-") as folder:
        home = create_home(Path(folder) / "home", 0, datetime.now(UTC))
        begun = time.perf_counter()
        fill(home.database, count)
        engine = sqlite_engine(home.database)
        with engine.begin() as connection:
            for each in _REST:
                connection.exec_driver_sql(each, {"count": count} if ":count" in each else ())
        engine.dispose()
        print(f"filled in {time.perf_counter() - begun:.0f} s", flush=True)
        newest = datetime(2026, 10, 1, tzinfo=UTC) + count * timedelta(milliseconds=2500)
        asked = _asked(home, newest + timedelta(minutes=1))
        made = table(
            f"Each statement that is polled, over {count:,} messages (ms; median and worst of {_ROUNDS})",
            *("statement", "median", "worst"),
        )
        engine = sqlite_engine(home.database)
        with engine.connect() as connection:
            timed = [(*_timed(connection, each, given), each) for each, given in asked.statements.items()]
        for middle, worst, statement in sorted(timed, reverse=True):
            made.add_row(" ".join(statement.split())[:_WORDS], f"{middle:.2f}", f"{worst:.2f}")
        show(made)
        engine.dispose()


def _asked(home: Any, now: datetime) -> StatementLog:
    asked, families = StatementLog(), Families.load(files("schemas"))
    database = Database(sqlite_engine(home.database))
    reader = SnapshotReader(home, home.settings(), lambda: now, (), (), {}, lambda _now: "", dict)
    for engine in (database.engine, _engine_of(reader)):
        asked.listen(engine)
    with closing(reader), closing(database):
        asyncio.run(rounds(database, reader, families, now, ("account-3",)))
    return asked


def _engine_of(reader: SnapshotReader) -> Engine:
    return reader._engine


def _timed(connection: Connection, statement: str, given: Any) -> tuple[float, float]:
    taken = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        answer = connection.exec_driver_sql(statement, tuple(given))
        if answer.returns_rows:
            answer.fetchall()
        taken.append((time.perf_counter() - start) * 1000)
        connection.rollback()
    return median(taken), max(taken)


if __name__ == "__main__":
    main()

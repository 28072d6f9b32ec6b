"""`messages list` over a million messages, beside a bare query by an index in the same run."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from sqlalchemy import Connection

from adapters.store.database import sqlite_engine
from adapters.store.migrate import migrate
from adapters.store.read.message_search import MessageFilter, list_messages
from bench.report import show, table
from gateway.model.message import new_id
from gateway.model.states import State

MESSAGES: Final = 1_000_000
_LIMIT: Final = 100
_FIRST: Final = datetime(2026, 10, 1, tzinfo=UTC)
_EVERY: Final = timedelta(milliseconds=2500)  # a month for a million

# Nine accounts and forty offices of two districts; nearly all is one type; 94 of 100 are closed, 5 refused.
# The last 300 of every 1,000 have another reference: what begins most does not begin all.
_FILL: Final = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count),
drawn AS (SELECT i, i * 2654435761 % 4294967296 AS r FROM n),
stated AS (
    SELECT i, r, i % 9 AS account, CASE
        WHEN r % 1000 < 940 THEN 'closed' WHEN r % 1000 < 990 THEN 'rejected'
        WHEN i > :count - 500 THEN 'received' WHEN r % 100000 = 99990 THEN 'held'
        WHEN r % 1000 < 995 THEN 'delivered' ELSE 'accepted' END AS state
    FROM drawn
)
INSERT INTO messages (
    seq, id, kind, account, channel, name, sha256, size, received_at, folder, moved_at, party, family, type,
    reference, content, body_digest, operation, office, facts, state, customs_status, findings, reason,
    revision, attempts, seq_no, entry_id, link_sequence, link_digest
)
SELECT i, made_id(i), 'inbound', 'account-' || account, 'sftp', 'file-' || i || '.zip',
    printf('%064x', r), 7000, :first + i * :every, 'SentBox', :first + i * :every,
    printf('120798%04d', account), 'cn-dec', CASE WHEN r % 10000 = 7 THEN 'DecAttach' ELSE 'DecMessage' END,
    CASE WHEN i % 1000 < 700 THEN 'TB2026' ELSE 'XC' END || printf('%010d', i), printf('%064x', r),
    printf('%064x', i), 'declare', printf('%04d', CASE r % 2 WHEN 0 THEN 200 ELSE 2200 END + i % 20),
    json_object('office', '0200', 'trader_code', '1207980011', 'goods', hex(zeroblob(150))), state, 'none',
    CASE state WHEN 'rejected' THEN '[{"code": "schema-missing", "rule": null, "severity": "error"}]'
        ELSE '[]' END,
    '', 3, 1, printf('I%017d', i), CASE state WHEN 'closed' THEN printf('0200%014d', i) END, i * 4,
    printf('%064x', i)
FROM stated
"""
_FAULTS: Final = """
INSERT INTO message_faults (fault, seq, account, party, office, family, type)
SELECT CASE WHEN seq % 5000 = 3 THEN 'rare-fault' ELSE 'schema-missing' END, seq, account, party, office,
    family, type
FROM messages WHERE state = 'rejected'
"""
_TO_JUDGE: Final = """
INSERT INTO to_judge (account, item, due_at, fence, attempts)
SELECT account, seq, 0, 0, 0 FROM messages WHERE state = 'received'
"""
_BARE: Final = "SELECT * FROM messages WHERE state = ? AND kind = 'inbound' ORDER BY seq DESC LIMIT 100"

_MIDDLE: Final = _FIRST + timedelta(days=15)
FILTERS: Final[dict[str, MessageFilter]] = {
    "nothing": MessageFilter(),
    "state, of most": MessageFilter(state=State.CLOSED),
    "state, of few": MessageFilter(state=State.HELD),
    "state, of none": MessageFilter(state=State.WAITING),
    "party": MessageFilter(party="1207980003"),
    "party, of none": MessageFilter(party="9999999999"),
    "account": MessageFilter(account="account-3"),
    "office": MessageFilter(office="2203"),
    "district": MessageFilter(office="02"),
    "office, of none": MessageFilter(office="9"),
    "family": MessageFilter(family="cn-dec"),
    "type, of few": MessageFilter(type="DecAttach"),
    "fault, of many": MessageFilter(fault="schema-missing"),
    "fault, of few": MessageFilter(fault="rare-fault"),
    "fault, of none": MessageFilter(fault="never"),
    "text, one": MessageFilter(text="TB20260000500000"),
    "text, of most": MessageFilter(text="TB2026"),
    "text, of most, old": MessageFilter(text="file-1"),
    "text, of none": MessageFilter(text="nothing"),
    "party and state": MessageFilter(party="1207980003", state=State.REJECTED),
    "party and state, of few": MessageFilter(party="1207980003", state=State.HELD),
    "account and state, of none": MessageFilter(account="account-3", state=State.WAITING),
    "district and state": MessageFilter(office="22", state=State.HELD),
    "fault and party": MessageFilter(fault="schema-missing", party="1207980003"),
    "fault and state": MessageFilter(fault="schema-missing", state=State.HELD),
    "party and type, of few": MessageFilter(party="1207980003", type="DecAttach"),
    "party and office": MessageFilter(party="1207980003", office="0203"),
    "text of most and party": MessageFilter(text="TB2026", party="1207980003"),
    "since": MessageFilter(since=_MIDDLE),
    "a day": MessageFilter(since=_MIDDLE, before=_MIDDLE + timedelta(days=1)),
    "older than all": MessageFilter(before=_FIRST),
    "a day and fault": MessageFilter(since=_MIDDLE, before=_MIDDLE + timedelta(days=1), fault="rare-fault"),
    "a page from the first": MessageFilter(after="0"),
    "a page from the middle": MessageFilter(after=new_id(_MIDDLE, bytes(10)), state=State.REJECTED),
}


def main() -> None:
    with filled(MESSAGES) as reader:
        made = table(
            f"messages list --limit {_LIMIT} over {MESSAGES:,} messages, beside 100 rows by one index",
            *("filter", "ms", "bare ms", "ratio"),
        )
        for name, filter_ in FILTERS.items():
            ours, bare = _paired(reader, filter_)
            made.add_row(name, f"{ours:.1f}", f"{bare:.2f}", f"{ours / bare:.1f}")
        show(made)


@contextmanager
def filled(count: int) -> Iterator[Connection]:
    """A read-only connection to a store with `count` messages."""
    with TemporaryDirectory(prefix="bench-listing-") as folder:
        path = Path(folder) / "gateway.db"
        migrate(path)
        fill(path, count)
        engine = sqlite_engine(path, read_only=True)
        with engine.connect() as reader:
            yield reader
        engine.dispose()


def fill(path: Path, count: int) -> None:
    """Adds `count` messages to an empty store, as a month of traffic would leave them."""
    engine = sqlite_engine(path)
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.create_function("made_id", 1, lambda i: new_id(_FIRST + i * _EVERY, i.to_bytes(10, "big")))
        driver.execute("PRAGMA synchronous=OFF")
        # Indexes are made afterwards, which is several times as quick.
        indexes = driver.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'messages' AND sql <> ''"
        ).fetchall()
        for name, _sql in indexes:
            driver.execute(f"DROP INDEX {name}")
        first, every = int(_FIRST.timestamp() * 1_000_000), _EVERY // timedelta(microseconds=1)
        driver.execute("BEGIN")
        driver.execute(_FILL, {"count": count, "first": first, "every": every})
        driver.execute(_FAULTS)
        driver.execute(_TO_JUDGE)
        driver.execute("COMMIT")
        for _name, sql in indexes:
            driver.execute(sql)
    engine.dispose()


def _paired(reader: Connection, filter_: MessageFilter, rounds: int = 5) -> tuple[float, float]:
    """Median milliseconds of the list, and of the bare query between."""
    ours, bare = [], []
    for _ in range(rounds):
        ours.append(_milliseconds(lambda: list_messages(reader, filter_, _LIMIT)))
        bare.append(_milliseconds(lambda: reader.exec_driver_sql(_BARE, ("closed",)).all()))
    return median(ours), median(bare)


def _milliseconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


if __name__ == "__main__":
    main()

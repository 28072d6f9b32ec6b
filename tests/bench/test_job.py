"""The bare loop that the product is measured against does the product's job: for the same declarations, the
rows and receipts of both are the same but for times, ids, places in the log and values of signatures."""

import asyncio
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from adapters.home.audit import Audit
from adapters.home.home import Home
from bench.amqp import sent_and_receipted, set_up, until_consumed
from bench.customs import serving_customs
from bench.harness import Harness, home
from bench.job.inputs import inputs
from bench.job.loop import Job
from bench.serving import Progress, serving, when
from bench.traffic import ACCOUNT, Broker, Sent
from tests.bench.stored_rows import opened, rows_of, stored_rows
from tests.support.rabbitmq import Rabbit

QUEUES: Final = ("to_judge", "to_send", "to_post", "to_request")


@pytest.mark.slow
def test_the_bare_loop_writes_the_rows_and_receipts_of_a_real_run(tmp_path: Path) -> None:
    with home() as base, Rabbit() as rabbit:
        vhost = set_up(base, rabbit)
        sent = _declarations(Broker(base))
        looped = tmp_path / "loop.db"
        with closing(sqlite3.connect(base.database)) as source, closing(sqlite3.connect(looped)) as copy:
            source.backup(copy)
        Job(base).run(looped, inputs(Harness(base), sent))

        _really_run(base, rabbit, vhost, sent)

        with opened(base.database) as real, opened(looped) as loop:
            expected, actual = stored_rows(real), stored_rows(loop)
            assert len(expected) == len(sent)
            for reference, rows in expected.items():
                for table, those in rows.items():
                    assert actual[reference][table] == those, (reference, table)
            assert actual == expected
            assert rows_of(loop, "sent_days") == rows_of(real, "sent_days")
            assert not any(rows_of(loop, queue) for queue in QUEUES)
        audited = _with_store(base, looped, tmp_path / "home")
        assert list(Audit(audited).run()) == []  # chain, packages and signatures


def _declarations(broker: Broker) -> list[Sent]:
    bare = [broker.bare("7 KB", f"BARE-{number}") for number in range(3)]
    return [*bare, broker.bare("55 KB", "LARGE-1"), broker.with_pdf("7 KB", "PDF-1")]


def _really_run(base: Home, rabbit: Rabbit, vhost: str, sent: Sequence[Sent]) -> None:
    with serving(base), closing(sqlite3.connect(base.database)) as store:

        def count(query: str) -> int:
            (number,) = store.execute(f"SELECT count(*) FROM {query}").fetchone()  # noqa: S608
            return int(number)

        progress = Progress(base)
        until_consumed(rabbit, vhost)
        # In the loop, each is delivered at the first attempt.
        when(lambda: _connected(base, "customs asking") + _connected(base, "customs sending 1"), 2)
        asyncio.run(sent_and_receipted(rabbit.url(vhost, ACCOUNT), sent))
        # All are delivered before the first answer, as in the loop.
        when(lambda: count("deliveries WHERE state = 'delivered'"), len(sent))
        with serving_customs(base):
            when(progress.closed_by_customs, len(sent))
            when(lambda: count("requests WHERE told_at IS NOT NULL"), len(sent))
            when(lambda: -count("to_post"), 0)


def _connected(base: Home, connection: str) -> bool:
    """Whether the served node has this connection to the broker, by its log."""
    lines = (base.path / "serve.log").read_text().splitlines()
    return any("broker connected" in line and connection in line for line in lines)


def _with_store(base: Home, store: Path, folder: Path) -> Home:
    shutil.copytree(base.path, folder, ignore=shutil.ignore_patterns("gateway.db*", "lock"))
    shutil.copyfile(store, folder / "gateway.db")
    return Home(folder)

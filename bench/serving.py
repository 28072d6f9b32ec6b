"""A real `gateway serve` on a home, and the progress of messages as read from its store."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine, Select, func, select

from adapters.home.home import Home
from adapters.store.tables.messages import messages, receipts
from gateway.model.states import CustomsStatus

PATIENCE = 180.0  # seconds for a whole round


@dataclass(frozen=True, slots=True)
class Serving:
    pid: int
    host: str
    port: int
    ready_after: float  # seconds from the start of the process


@contextmanager
def serving(home: Home) -> Iterator[Serving]:
    log, begun = home.path / "serve.log", time.perf_counter()
    with log.open("wb") as stderr:
        node = subprocess.Popen(
            [sys.executable, "-m", "cli", "serve", "--home", str(home.path)],
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
    try:
        assert node.stdout is not None
        line = node.stdout.readline()
        assert line, log.read_text()[-2000:]
        ready_after = time.perf_counter() - begun
        host, port = json.loads(line)["sftp"].rsplit(":", 1)
        yield Serving(node.pid, host, int(port), ready_after)
    finally:
        node.terminate()
        node.communicate()


class Progress:
    """Counts what a node has finished since this was created, by reading its store: only rows that are newer,
    so that looking takes as long in a full store as in an empty one."""

    def __init__(self, home: Home) -> None:
        self._engine: Engine = home.reader()
        self._messages = self._count(select(func.coalesce(func.max(messages.c.seq), 0)))
        self._receipts = self._count(select(func.coalesce(func.max(receipts.c.id), 0)))

    def finally_receipted(self) -> int:
        return self._count(self._new_receipts().where(receipts.c.final))

    def closed_by_customs(self) -> int:
        new = select(func.count()).select_from(messages).where(messages.c.seq > self._messages)
        return self._count(new.where(messages.c.customs_status == CustomsStatus.CLOSED))

    def refused(self) -> int:
        return self._count(self._new_receipts().where(receipts.c.final, receipts.c.verdict != "accepted"))

    def close(self) -> None:
        self._engine.dispose()

    def _new_receipts(self) -> Select[int]:
        return select(func.count()).select_from(receipts).where(receipts.c.id > self._receipts)

    def _count(self, query: Select[int]) -> int:
        with self._engine.connect() as reader:
            found: int = reader.execute(query).scalar_one()
            return found


def when(count: Callable[[], int], wanted: int) -> float:
    """The time (perf_counter) at which the count was reached; checks every 50 ms."""
    until = time.perf_counter() + PATIENCE
    while count() < wanted:
        assert time.perf_counter() < until, f"{count()} of {wanted} after {PATIENCE:.0f} s"
        time.sleep(0.05)
    return time.perf_counter()

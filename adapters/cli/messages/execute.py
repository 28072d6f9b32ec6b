"""The operators' service for one home, and its progress on a terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import Progress as Bar
from sqlalchemy import Connection

from adapters.blobs.packages import Packages
from adapters.home.clock import utc_now
from adapters.home.home import Home
from adapters.home.judgement import HomeJudgement
from adapters.store.database import Database
from adapters.store.write.operator_store import SqlOperatorStore
from gateway.operate.service import OperatorService


@dataclass(frozen=True, slots=True)
class Operating:
    """The service for one home, with the store that it works on."""

    home: Home
    database: Database
    service: OperatorService

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self.database.engine.connect() as reader:
            yield reader


@contextmanager
def operating(home: Home) -> Iterator[Operating]:
    with home.store() as database:
        judgement = HomeJudgement(home, database.engine, Packages.of(home, database.engine.connect), utc_now)
        service = OperatorService(SqlOperatorStore(database), judgement, utc_now)
        yield Operating(home, database, service)


def resume(service: OperatorService, request: str) -> str | None:
    """Continues a request, and returns the message that keeps changing, if there is one. Standard error shows
    a progress bar if it is a terminal, else a line for each thousand messages."""
    if sys.stderr.isatty():
        with Bar(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("acting", total=None)
            return service.resume(request, lambda done, all_: bar.update(task, completed=done, total=all_))
    reported = 0

    def tell(done: int, all_: int) -> None:
        nonlocal reported
        if all_ > 1 and (done - reported >= 1000 or done == all_):
            sys.stderr.write(f"gateway: {done} of {all_} messages\n")
            reported = done

    return service.resume(request, tell)

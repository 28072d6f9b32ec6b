"""End-to-end throughput over SFTP on all cores, beside judging alone on all cores in the same run.

Eight connections of OpenSSH's `sftp` upload signed declarations with a PDF of 200 KB each, under unfinished
names that are renamed, to a real `gateway serve`: from the first upload to the last final gateway receipt,
and to the last declaration that the reference customs closed (R). Clients, customs and node share the cores;
the limit has them to itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from adapters.home.home import Home
from bench.clients import Clients, written
from bench.harness import home
from bench.limit import Judges
from bench.report import show, table
from bench.serving import Progress, Serving, serving, when
from bench.traffic import SIZES, Broker

ROUNDS = 3
MESSAGES = 160
LIMIT_SECONDS = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Messages per second."""

    receipted: float
    closed: float
    limit: float


class Course:
    """A served home, client sessions, and the processes for the limit."""

    def __init__(self, base: Home, served: Serving, judges: Judges) -> None:
        self.home = base
        self.served = served
        self._judges = judges
        self._broker = Broker(base)
        self._progress = Progress(base)

    def run(self, size: str, number: int) -> Round:
        label = f"{size.split()[0]}K-{number}"
        sent = [self._broker.with_pdf(size, f"T{label}-{each}") for each in range(MESSAGES)]
        files = written(self.home.path / f"sent-{label}", sent)
        others = [self._broker.with_pdf(size, f"L{label}-{each}") for each in range(8)]
        limit = self._judges.rate(others, LIMIT_SECONDS)
        clients = Clients(self.home, self.served)
        receipted, closed = self._progress.finally_receipted(), self._progress.closed_by_customs()
        begun = clients.send(files)
        receipted_at = when(self._progress.finally_receipted, receipted + MESSAGES)
        closed_at = when(self._progress.closed_by_customs, closed + MESSAGES)
        clients.wait()
        assert self._progress.refused() == 0
        limit = (limit + self._judges.rate(others, LIMIT_SECONDS)) / 2
        return Round(
            receipted=MESSAGES / (receipted_at - begun), closed=MESSAGES / (closed_at - begun), limit=limit
        )


@contextmanager
def course() -> Iterator[Course]:
    with home() as base:
        judges = Judges(base)
        try:
            with serving(base) as served:
                yield Course(base, served, judges)
        finally:
            judges.close()


def main() -> None:
    rows = table(
        "throughput: SFTP to receipts, 8 connections, PDF of 200 KB, beside judging alone on all cores",
        *("message", "receipted /s", "closed /s", "limit /s", "receipted", "closed"),
    )
    with course() as running:
        for size in SIZES:
            rounds = [running.run(size, number) for number in range(ROUNDS)]
            rows.add_row(
                f"{size} signed",
                f"{median(each.receipted for each in rounds):.0f}",
                f"{median(each.closed for each in rounds):.0f}",
                f"{median(each.limit for each in rounds):.0f}",
                f"{median(each.receipted / each.limit for each in rounds):.2f}",
                f"{median(each.closed / each.limit for each in rounds):.2f}",
            )
    show(rows)

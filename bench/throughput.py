"""End-to-end throughput over SFTP on all cores, beside judging alone on all cores in the same run.

Eight connections of OpenSSH's `sftp` upload signed declarations, bare and with a PDF of 200 KB each, under
unfinished names that are renamed, to a real `gateway serve`: from the first upload to the last final gateway
receipt, and to the last declaration that customs closed (R). Customs is a process of its own behind a private
RabbitMQ, as in `bench amqp`, so that the two differ in the parties' side alone. Clients, broker, customs and
node share the cores; the limit has them to itself. The CPU time of each is that of the same period.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final

from adapters.home.home import Home
from bench import processes
from bench.clients import Clients, written
from bench.customs import over_amqp, serving_customs
from bench.harness import home
from bench.limit import Judges
from bench.rounds import Round, Tables, parts
from bench.serving import Progress, Serving, serving, when
from bench.traffic import SIZES, Broker, Sent
from tests.support.rabbitmq import Rabbit

ROUNDS: Final = 3
MESSAGES: Final = 160
LIMIT_SECONDS: Final = 1.5

Make = Callable[[Broker, str, str], Sent]
KINDS: Final[dict[str, Make]] = {"signed": Broker.bare, "signed, PDF of 200 KB": Broker.with_pdf}


class Course:
    """A served home, client sessions, and the processes for the limit."""

    def __init__(
        self, base: Home, served: Serving, judges: Judges, clocks: Mapping[str, processes.Clock]
    ) -> None:
        self.home = base
        self.served = served
        self._judges = judges
        self._clocks = clocks
        self._broker = Broker(base)

    def run(self, size: str, kind: str, number: int) -> Round:
        label, make = f"{size.split()[0]}K-{len(kind)}-{number}", partial(KINDS[kind], self._broker, size)
        sent = [make(f"T{label}-{each}") for each in range(MESSAGES)]
        files = written(self.home.path / f"sent-{label}", sent)
        others = [make(f"L{label}-{each}") for each in range(8)]
        limit = self._judges.rate(others, LIMIT_SECONDS)
        clients, progress = Clients(self.home, self.served), Progress(self.home)
        sender = processes.of_children_that_end(clients.pids)
        with processes.spent({**self._clocks, "sender": sender}) as spent:
            begun = clients.send(files)
            receipted_at = when(progress.finally_receipted, MESSAGES)
            closed_at = when(progress.closed_by_customs, MESSAGES)
            clients.wait()
        assert progress.refused() == 0
        limit = (limit + self._judges.rate(others, LIMIT_SECONDS)) / 2
        return Round(
            receipted=MESSAGES / (receipted_at - begun),
            closed=MESSAGES / (closed_at - begun),
            limit=limit,
            cpu=spent.each(MESSAGES),
        )


@contextmanager
def course() -> Iterator[Course]:
    with home() as base, Rabbit() as rabbit:
        over_amqp(base, rabbit)
        judges = Judges(base)
        try:
            with serving(base) as served, serving_customs(base) as customs:
                yield Course(base, served, judges, parts(served, customs, rabbit))
        finally:
            judges.close()


def main() -> None:
    made = Tables(
        "throughput", "SFTP in, customs over AMQP, 8 connections, beside judging alone on all cores"
    )
    with course() as running:
        for size in SIZES:
            for kind in KINDS:
                made.add(f"{size} {kind}", [running.run(size, kind, number) for number in range(ROUNDS)])
    made.show()

"""End-to-end throughput over SFTP on all cores, beside a bare loop of the same job in the same run.

Eight connections of OpenSSH's `sftp` upload signed declarations, bare and with a PDF of 200 KB each, under
unfinished names that are renamed, to a real `gateway serve`: from the first upload to the last final gateway
receipt, and to the last declaration that customs closed (R). Customs is a process of its own behind a private
RabbitMQ, as in `bench amqp`, so that the two differ in the parties' side alone. Clients, broker, customs and
node share the cores; the limit has them to itself. The CPU time of each is that of the same period.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from adapters.home.home import Home
from bench import processes
from bench.clients import Clients, written
from bench.customs import over_amqp, serving_customs
from bench.harness import home
from bench.job.inputs import Input
from bench.limit import Loops
from bench.rounds import Round, Tables, parts
from bench.serving import Progress, Serving, serving, when
from bench.traffic import KINDS, SIZES, Broker
from tests.support.rabbitmq import Rabbit

ROUNDS: Final = 3
MESSAGES: Final = 160
LIMIT_SECONDS: Final = 1.5


class Course:
    """A served home, client sessions, and the processes for the limit."""

    def __init__(
        self, base: Home, served: Serving, loops: Loops, clocks: Mapping[str, processes.Clock]
    ) -> None:
        self.home = base
        self.served = served
        self.loops = loops
        self._clocks = clocks
        self._broker = Broker(base)

    def run(self, size: str, kind: str, given: Sequence[Input], number: int) -> Round:
        label = f"{size.split()[0]}K-{len(kind)}-{number}"
        sent = [KINDS[kind](self._broker, size, f"T{label}-{each}") for each in range(MESSAGES)]
        files = written(self.home.path / f"sent-{label}", sent)
        before = self.loops.limit(given, LIMIT_SECONDS)
        clients, progress = Clients(self.home, self.served), Progress(self.home)
        sender = processes.of_children_that_end(clients.pids)
        with processes.spent({**self._clocks, "sender": sender}) as spent:
            begun = clients.send(files)
            receipted_at = when(progress.finally_receipted, MESSAGES)
            closed_at = when(progress.closed_by_customs, MESSAGES)
            clients.wait()
        assert progress.refused() == 0
        after = self.loops.limit(given, LIMIT_SECONDS)
        return Round.of(MESSAGES, begun, receipted_at, closed_at, (before, after), spent)


@contextmanager
def course() -> Iterator[Course]:
    with home() as base, Rabbit() as rabbit:
        over_amqp(base, rabbit)
        with Loops(base) as loops, serving(base) as served, serving_customs(base) as customs:
            yield Course(base, served, loops, parts(served, customs, rabbit))


def main() -> None:
    made = Tables("throughput", "SFTP in, customs over AMQP, 8 connections, beside a bare loop of the job")
    with course() as running:
        for size in SIZES:
            for kind in KINDS:
                given = running.loops.inputs(size, kind)
                rounds = [running.run(size, kind, given, number) for number in range(ROUNDS)]
                made.add(f"{size} {kind}", rounds)
    made.show()

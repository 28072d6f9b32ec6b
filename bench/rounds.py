"""Rounds of a benchmark of the whole way: rates beside the limit of the same round, and CPU time."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import Final, Self

from rich.table import Table

from bench import processes
from bench.customs import broker_pid
from bench.limit import Limit
from bench.report import show, table
from bench.serving import Serving
from tests.support.rabbitmq import Rabbit

_COSTS: Final = (*processes.COLUMNS, *processes.BESIDE)
_RATES: Final = ("message", "receipted /s", "closed /s", "limit /s", "receipted", "closed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Messages per second, and milliseconds of CPU time for a message by part. The limit is the mean of those
    before and after it."""

    receipted: float
    closed: float
    limit: float
    cpu: dict[str, float]

    @classmethod
    def of(
        cls,
        messages: int,
        begun: float,
        receipted_at: float,
        closed_at: float,
        limits: Sequence[Limit],
        spent: processes.Spent,
    ) -> Self:
        return cls(
            receipted=messages / (receipted_at - begun),
            closed=messages / (closed_at - begun),
            limit=mean(each.rate for each in limits),
            cpu={
                **spent.each(messages),
                processes.LOOP: mean(sum(each.cpu.values()) for each in limits),
            },
        )


def parts(served: Serving, customs: int, rabbit: Rabbit) -> dict[str, processes.Clock]:
    """The clocks of all processes but the sender's."""
    return {
        "node": processes.of_process(served.pid),
        "workers": processes.of_descendants(served.pid),
        "customs": processes.of_process(customs),
        "RabbitMQ": processes.of_tree(broker_pid(rabbit)),
    }


class Tables:
    """The rates and the CPU time of one benchmark."""

    def __init__(self, name: str, about: str) -> None:
        self._rates: Table = table(f"{name}: {about}", *_RATES)
        self._costs: Table = table(f"{name}: CPU ms a message, by process", "message", *_COSTS)

    def add(self, message: str, rounds: list[Round]) -> None:
        self._rates.add_row(
            message,
            f"{median(each.receipted for each in rounds):.0f}",
            f"{median(each.closed for each in rounds):.0f}",
            f"{median(each.limit for each in rounds):.0f}",
            f"{median(each.receipted / each.limit for each in rounds):.2f}",
            f"{median(each.closed / each.limit for each in rounds):.2f}",
        )
        processes.add_row(self._costs, message, [each.cpu for each in rounds])

    def show(self) -> None:
        show(self._rates)
        show(self._costs)

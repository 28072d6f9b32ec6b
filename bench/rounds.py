"""Rounds of a benchmark of the whole way: rates beside the limit of the same round, and CPU time."""

from dataclasses import dataclass
from statistics import median
from typing import Final

from rich.table import Table

from bench import processes
from bench.customs import broker_pid
from bench.report import show, table
from bench.serving import Serving
from tests.support.rabbitmq import Rabbit

_RATES: Final = ("message", "receipted /s", "closed /s", "limit /s", "receipted", "closed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Messages per second, and milliseconds of CPU time for a message by part."""

    receipted: float
    closed: float
    limit: float
    cpu: dict[str, float]


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
        self._costs: Table = table(f"{name}: CPU ms a message, by process", "message", *processes.COLUMNS)

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

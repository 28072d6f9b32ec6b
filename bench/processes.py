"""CPU time and memory of the processes of a run, by the part that each plays."""

import resource
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from rich.table import Table

GATEWAY: Final = ("node", "workers")
OTHERS: Final = ("customs", "RabbitMQ", "sender")
LOOP: Final = "bare loop"  # what the limit spends, for comparison

Clock = Callable[[], float]


def cpu(pid: int) -> float:
    """Seconds of CPU time that a process has used, in all its threads, also those that have ended."""
    # The clock of another process (`clock_getcpuclockid`) has nanoseconds; /proc/PID/stat has ticks of 10 ms.
    return time.clock_gettime((~pid << 3) | 2)


def descendants(pid: int) -> list[int]:
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = _children(waiting.pop())
        found += children
        waiting += children
    return found


def _children(pid: int) -> list[int]:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    except FileNotFoundError:
        return []  # the process has ended meanwhile


def of_process(pid: int) -> Clock:
    return lambda: cpu(pid)


def of_descendants(pid: int) -> Clock:
    """Of a process's children and theirs, itself left out."""
    return lambda: sum(map(_cpu_if_there, descendants(pid)))


def of_tree(pid: int) -> Clock:
    return lambda: cpu(pid) + sum(map(_cpu_if_there, descendants(pid)))


def of_children_that_end(pids: Callable[[], list[int]]) -> Clock:
    """Of our own children, those named and those that we have waited for."""

    def spent() -> float:
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        trees = [of_tree(pid)() for pid in pids()]
        return ended.ru_utime + ended.ru_stime + sum(trees)

    return spent


def _cpu_if_there(pid: int) -> float:
    try:
        return cpu(pid)
    except OSError:
        return 0.0


@dataclass(slots=True)
class Spent:
    """Seconds of CPU time by part; complete when the context of `spent` has ended."""

    seconds: dict[str, float] = field(default_factory=dict)

    def each(self, messages: int) -> dict[str, float]:
        """Milliseconds for a message."""
        return {part: 1000 * seconds / messages for part, seconds in self.seconds.items()}


@contextmanager
def spent(parts: Mapping[str, Clock]) -> Iterator[Spent]:
    """What each part spends while the context is open."""
    measured = Spent()
    before = {part: clock() for part, clock in parts.items()}
    yield measured
    measured.seconds = {part: clock() - before[part] for part, clock in parts.items()}


COLUMNS: Final = (*GATEWAY, "gateway", *OTHERS, "all")
BESIDE: Final = (LOOP, "loop/gateway")


def add_row(table: Table, name: str, rounds: list[dict[str, float]]) -> None:
    """Adds the medians of the rounds, in milliseconds for a message, as `COLUMNS` and `BESIDE` name them."""
    found = {part: median(each[part] for each in rounds) for part in rounds[0]}
    gateway = sum(found[part] for part in GATEWAY)
    figures = {**found, "gateway": gateway, "all": sum(found.values()) - found[LOOP]}
    shown = [f"{figures[column]:.1f}" for column in (*COLUMNS, LOOP)]
    table.add_row(name, *shown, f"{found[LOOP] / gateway:.2f}")

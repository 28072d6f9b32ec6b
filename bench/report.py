"""Measures and prints results: paired rounds, the median of their ratios, and the machine."""

import os
import platform
import sys
import time
from collections.abc import Callable
from statistics import median

from rich.console import Console
from rich.table import Table


def rate(work: Callable[[], object], seconds: float) -> float:
    """Calls of `work` per second of this process's CPU time: it never waits, and other load on the machine
    is not counted."""
    calls, start = 0, time.process_time()
    while (passed := time.process_time() - start) < seconds:
        work()
        calls += 1
    return calls / passed


def paired(
    measured: Callable[[], object], limit: Callable[[], object], rounds: int, seconds: float
) -> tuple[float, float, float]:
    """Median rates of both and median of the ratios. Each ratio comes from two adjacent periods, so that
    other load affects both alike; the order alternates from round to round."""
    measured(), limit()  # warm
    pairs = []
    for number in range(rounds):
        if number % 2:
            bare = rate(limit, seconds)
            ours = rate(measured, seconds)
        else:
            ours = rate(measured, seconds)
            bare = rate(limit, seconds)
        pairs.append((ours, bare))
    return (
        median(ours for ours, _ in pairs),
        median(bare for _, bare in pairs),
        median(ours / bare for ours, bare in pairs),
    )


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least this share of the values do not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def table(title: str, *columns: str) -> Table:
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        made.add_column(column, justify="left" if number == 0 else "right")
    return made


def show(made: Table) -> None:
    console = Console(width=None if sys.stdout.isatty() else 110, highlight=False)
    console.print(made)
    console.print()


def machine() -> str:
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}, "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"
    )

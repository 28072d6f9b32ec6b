"""Measures, prints and keeps results: paired rounds, the median of their ratios, and the machine."""

import json
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from rich.console import Console
from rich.table import Table

_KEPT: Final = Path(__file__).parents[1] / "build" / "bench.json"  # every table that was shown, by its title


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
    _keep(made)


@dataclass(frozen=True, slots=True)
class Kept:
    """A table that was shown: its cells by row and column, and the machine then."""

    rows: dict[str, dict[str, str]]
    machine: str


def kept(title: str) -> Kept | None:
    """The last table whose title begins so, of any run."""
    for name, found in _all_kept().items():
        if name.startswith(title):
            return Kept(**found)
    return None


def _all_kept() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_KEPT.read_text("utf-8")) if _KEPT.exists() else {}
    return found


def _keep(made: Table) -> None:
    columns = [str(column.header) for column in made.columns]
    cells = zip(*(column.cells for column in made.columns), strict=True)
    rows = {str(row[0]): dict(zip(columns, map(str, row), strict=True)) for row in cells}
    _KEPT.parent.mkdir(exist_ok=True)
    everything = _all_kept() | {str(made.title): {"rows": rows, "machine": machine()}}
    _KEPT.write_text(json.dumps(everything, ensure_ascii=False, indent=1), "utf-8")


def machine() -> str:
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}, "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"
    )

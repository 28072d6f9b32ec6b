"""The limit for the whole way: the bare loop of the same job (`bench.job`), in one process and in one for
each core.

Each process has a store of its own, so nothing waits for another's commits. What the parts take is CPU time.
"""

import gc
import multiprocessing
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final, Self

from adapters.home.home import Home
from bench.harness import Harness, home
from bench.job.inputs import Input, inputs
from bench.job.loop import PARTS, Job
from bench.report import show, table
from bench.traffic import KINDS, SIZES, Broker

CORES: Final = os.cpu_count() or 1
DECLARATIONS: Final = 96
ROUNDS: Final = 3
SECONDS: Final = 2.0
_loaded: list[tuple[Job, Path]] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Declarations per second of wall clock time, and milliseconds of CPU time for one by part."""

    rate: float
    cpu: dict[str, float]


class Loops:
    """Processes with everything loaded. `home` may be served later on: what they need is copied first."""

    def __init__(self, home: Home) -> None:
        self._folder = TemporaryDirectory(prefix="gateway-bench-", dir=home.path.parent)
        store = Path(self._folder.name) / "store.db"
        with closing(sqlite3.connect(home.database)) as source, closing(sqlite3.connect(store)) as copy:
            source.backup(copy)
        self._harness = Harness(home)
        self._broker = Broker(home)
        self._pool = ProcessPoolExecutor(
            CORES, multiprocessing.get_context("spawn"), initializer=_load, initargs=(home.path, store)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown()
        self._folder.cleanup()

    def inputs(self, size: str, kind: str) -> list[Input]:
        sent = [KINDS[kind](self._broker, size, f"L{len(kind)}-{each}") for each in range(DECLARATIONS)]
        return inputs(self._harness, sent)

    def limit(self, given: Sequence[Input], seconds: float, processes: int = CORES) -> Limit:
        """Of all processes together; each goes through the declarations until its time is over."""
        begin = time.time() + 0.3  # all have been given the declarations by then
        tasks = [self._pool.submit(_run, given, begin, seconds) for _ in range(processes)]
        found = [task.result() for task in tasks]
        return Limit(
            rate=sum(each.rate for each in found),
            cpu={part: sum(each.cpu[part] for each in found) / processes for part in PARTS},
        )


def _load(home: Path, store: Path) -> None:
    _loaded.append((Job(Home(home)), store))
    gc.freeze()


def _run(given: Sequence[Input], begin: float, seconds: float) -> Limit:
    ((job, store),) = _loaded
    copy = store.with_name(f"copy-{os.getpid()}.db")
    parts: Counter[str] = Counter()
    taken, done = 0.0, 0
    time.sleep(max(0.0, begin - time.time()))
    while taken < seconds:
        copyfile(store, copy)
        start = time.perf_counter()
        spent = job.run(copy, given)
        taken += time.perf_counter() - start
        done += len(given)
        parts.update(spent.parts)
        copy.unlink()
    return Limit(rate=done / taken, cpu={part: 1000 * parts[part] / done for part in PARTS})


def main() -> None:
    made = table(
        "limit: a bare loop of the whole job; CPU ms a declaration, by part",
        *("message", "processes", "/s", *PARTS, "all"),
    )
    with home() as base, Loops(base) as loops:
        for size in SIZES:
            for kind in KINDS:
                given = loops.inputs(size, kind)
                for processes in sorted({1, CORES}):
                    found = [loops.limit(given, SECONDS, processes) for _ in range(ROUNDS)]
                    cpu = {part: median(each.cpu[part] for each in found) for part in PARTS}
                    made.add_row(
                        f"{size} {kind}",
                        str(processes),
                        f"{median(each.rate for each in found):.0f}",
                        *(f"{cpu[part]:.2f}" for part in PARTS),
                        f"{sum(cpu.values()):.2f}",
                    )
    show(made)

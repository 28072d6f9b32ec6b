"""The limit for end-to-end throughput: judging alone, in one process per core."""

import multiprocessing
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import cycle
from pathlib import Path

from adapters.home.home import Home
from bench.harness import Harness
from bench.traffic import Sent

_CORES = os.cpu_count() or 1
_desks: list[Harness] = []


class Judges:
    """Processes with everything loaded, on the home of the node, which should be idle meanwhile."""

    def __init__(self, home: Home) -> None:
        self._pool = ProcessPoolExecutor(
            _CORES, multiprocessing.get_context("spawn"), initializer=_load, initargs=(home.path,)
        )

    def rate(self, sent: Sequence[Sent], seconds: float) -> float:
        """Messages per second of wall clock time, all processes together."""
        begin = time.time() + 0.5  # all have stored and judged each package once by then
        tasks = [self._pool.submit(_judge, list(sent), begin, seconds) for _ in range(_CORES)]
        return sum(task.result() for task in tasks)

    def close(self) -> None:
        self._pool.shutdown()


def _load(home: Path) -> None:
    _desks.append(Harness(Home(home)))


def _judge(sent: list[Sent], begin: float, seconds: float) -> float:
    (harness,) = _desks
    kept = [harness.keep(each) for each in sent]
    for received in kept:
        harness.judge(received)
    time.sleep(max(0.0, begin - time.time()))
    start = time.perf_counter()
    for done, received in enumerate(cycle(kept), 1):
        harness.judge(received)
        if (passed := time.perf_counter() - start) > seconds:
            return done / passed
    raise AssertionError("nothing to judge")

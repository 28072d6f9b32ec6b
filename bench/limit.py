"""The limit of the whole way: judging alone, in one process for each core, nothing before or after it."""

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
    """Processes with everything loaded, over the home and beside the node, which should be idle then."""

    def __init__(self, home: Home) -> None:
        self._pool = ProcessPoolExecutor(
            _CORES, multiprocessing.get_context("spawn"), initializer=_load, initargs=(home.path,)
        )

    def rate(self, sent: Sequence[Sent], seconds: float) -> float:
        """Messages in a second of wall clock, by all processes together."""
        begin = time.time() + 0.5  # by then all of them have kept and judged each package once
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

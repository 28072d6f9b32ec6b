"""CPU time by process, as the benchmarks print it."""

import subprocess
import sys
from typing import Final

from bench import processes

# Burns 0.3 s in a thread that ends, says what it has used, and waits.
BUSY: Final = """
import threading, time
def burn():
    while time.thread_time() < 0.3:
        pass
thread = threading.Thread(target=burn)
thread.start()
thread.join()
print(time.process_time(), flush=True)
input()
"""


def test_cpu_time_of_another_process_is_that_which_it_sees_itself_with_threads_that_have_ended() -> None:
    with _started(BUSY) as process:
        own = _line(process)

        assert 0.3 <= own <= processes.cpu(process.pid) < own + 0.2


def test_descendants_are_children_and_theirs_but_not_the_process_itself() -> None:
    with _started(f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BUSY!r}])") as process:
        _line(process)
        (descendant,) = processes.descendants(process.pid)

        assert descendant != process.pid
        assert processes.of_descendants(process.pid)() >= 0.3
        assert processes.of_tree(process.pid)() > processes.of_process(process.pid)() + 0.3


def test_cpu_time_of_our_children_does_not_shrink_when_they_end() -> None:
    alive: list[int] = []
    clock = processes.of_children_that_end(lambda: alive)
    before = clock()
    with _started(BUSY) as process:
        alive = [process.pid]
        _line(process)
        running = clock()
        process.communicate("\n")
        alive = []

    assert before + 0.3 <= running <= clock()


def test_the_time_that_each_part_spends_is_given_per_message() -> None:
    readings = {"node": iter((1.0, 3.0)), "workers": iter((0.0, 0.5))}
    with processes.spent({part: times.__next__ for part, times in readings.items()}) as spent:
        pass

    assert spent.each(100) == {"node": 20.0, "workers": 5.0}


def _started(program: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _line(process: "subprocess.Popen[str]") -> float:
    assert process.stdout is not None
    return float(process.stdout.readline())

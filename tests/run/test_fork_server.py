"""Processes that are forked from one that was forked before there were threads."""

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from adapters.run.fork_server import ForkServer, ForkServerEnded

WITHIN = 60


@pytest.fixture
def forks() -> Iterator[ForkServer]:
    with ForkServer() as forks:
        yield forks


def who(connection: "Connection[Any, Any]") -> None:
    connection.send((os.getpid(), os.getppid()))
    connection.recv()


def leave(code: int, connection: "Connection[Any, Any]") -> None:
    os._exit(code)


def fail(connection: "Connection[Any, Any]") -> None:
    raise ValueError("as it happens")


def loaded(module: str, connection: "Connection[Any, Any]") -> None:
    connection.send(module in sys.modules)


def test_each_process_is_a_child_of_the_server(forks: ForkServer) -> None:
    first, second = forks.start(who), forks.start(who)
    (one, parent), (other, parent_of_other) = first.connection.recv(), second.connection.recv()
    assert one != other
    assert (parent, parent_of_other) == (forks.pid, forks.pid)


def test_modules_are_loaded_before_processes_are_forked() -> None:
    module = "pyclbr"
    assert module not in sys.modules
    with ForkServer([module]) as forks:
        assert forks.start(loaded, module).connection.recv()
    assert module not in sys.modules


def test_a_process_that_ended_keeps_its_exit_code(forks: ForkServer) -> None:
    for code in (0, 7):
        forked = forks.start(leave, code)
        with pytest.raises(EOFError):
            forked.connection.recv()
        assert forked.end() == code


def test_a_process_that_has_not_ended_is_killed_once(forks: ForkServer) -> None:
    forked = forks.start(who)
    pid, _server = forked.connection.recv()
    assert forked.end() == -signal.SIGKILL
    assert forked.end() is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_exception_ends_its_process_alone(forks: ForkServer) -> None:
    failing = forks.start(fail)
    with pytest.raises(EOFError):
        failing.connection.recv()
    assert failing.end() == 1
    assert forks.start(who).connection.recv()


def test_processes_do_not_hold_what_their_ancestor_had_open(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as before, ForkServer() as forks:
        fcntl.flock(before, fcntl.LOCK_EX)
        forks.start(who).connection.recv()
        before.close()
        with (tmp_path / "lock").open("w") as after:
            fcntl.flock(after, fcntl.LOCK_EX | fcntl.LOCK_NB)


KILLED = """
import os, signal
from adapters.run.fork_server import ForkServer
from tests.run.test_fork_server import who

forks = ForkServer()
print(*forks.start(who).connection.recv(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_all_processes_end_with_the_one_that_wanted_them_though_it_is_killed() -> None:
    # The output ends when the last process that could write to it has ended.
    ended = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, timeout=WITHIN, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert len(ended.stdout.split()) == 2


def test_the_end_of_the_server_is_noticed_by_whoever_needs_it() -> None:
    async def until_it_ended(forks: ForkServer) -> None:
        ended = asyncio.Event()
        forks.call_when_ended(ended.set)
        os.kill(forks.pid, signal.SIGKILL)
        await asyncio.wait_for(ended.wait(), WITHIN)

    with pytest.raises(ForkServerEnded), ForkServer() as forks:  # noqa: PT012  # until the end of the context
        forked = forks.start(who)
        asyncio.run(until_it_ended(forks))
        with pytest.raises(OSError, match=r"ended|pipe"):
            forks.start(who)
        assert forked.end() is None

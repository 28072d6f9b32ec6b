"""Processes forked from one that was itself forked before this process had threads: they share the memory of
all that was imported until then, and have none of its threads and locks."""

import asyncio
import gc
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from multiprocessing.connection import Connection
from threading import Lock
from types import TracebackType
from typing import Any, Final, Self

_LONGEST: Final = 20  # digits of a number


class ForkServerEnded(OSError):
    """It was killed."""

    def __init__(self) -> None:
        super().__init__("the process that forks others has ended")


class ForkServer:
    """The process that forks the others. To be made while this one has a single thread, and no database of
    SQLite open, which cannot be used after a fork. All of them end with this one."""

    def __init__(self, preload: Sequence[str] = ()) -> None:
        """`preload`: modules that it imports besides, before it forks anything."""
        # Each message arrives whole: a pipe for a new process, or the number of one that shall end.
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _serve(theirs, preload)
        theirs.close()
        self._requests = ours
        self._one_at_a_time = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._requests.close()
        _pid, status = os.waitpid(self.pid, 0)
        if status != 0 and error is None:
            raise ForkServerEnded

    def call_when_ended(self, tell: Callable[[], None]) -> None:
        """Has the running event loop call `tell` where the server was killed. Beside threads none can be
        forked again: whoever needs it has to end, too."""
        loop = asyncio.get_running_loop()
        descriptor = os.pidfd_open(self.pid)

        def ended() -> None:
            loop.remove_reader(descriptor)
            os.close(descriptor)
            tell()

        loop.add_reader(descriptor, ended)

    def start(self, target: Callable[..., None], *arguments: object) -> "Forked":
        """Calls `target(*arguments, connection)` in a new process, which has the other end of the connection
        of the result. Raises `OSError` where the server was killed."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            pid = self._ask(b"-", theirs.fileno())
            connection: Connection[Any, Any] = Connection(ours.detach())
        connection.send((target, arguments))
        return Forked(self, pid, connection)

    def end(self, pid: int) -> int | None:
        """Kills a process unless it has ended; its exit code, None where that cannot be known any more."""
        with suppress(OSError):
            return self._ask(b"%d" % pid)
        return None

    def _ask(self, message: bytes, *descriptors: int) -> int:
        with self._one_at_a_time:
            socket.send_fds(self._requests, [message], descriptors)
            if not (answer := self._requests.recv(_LONGEST)):
                raise ForkServerEnded
        return int(answer)


class Forked:
    """A process of the server, which keeps its number for it until `end` was called."""

    def __init__(self, server: ForkServer, pid: int, connection: "Connection[Any, Any]") -> None:
        self._server = server
        self._pid = pid
        self.connection = connection

    def end(self) -> int | None:
        """Kills it unless it has ended; its exit code, negative for a signal, None where that cannot be known
        or was given before."""
        pid, self._pid = self._pid, 0
        code = self._server.end(pid) if pid else None
        self.connection.close()
        return code


def _serve(requests: socket.socket, preload: Sequence[str]) -> None:
    with _ending_here():
        # The objects of the process before stay as they are: none closes a file that is not its own any more.
        gc.freeze()
        # Above all the lock of the home, which the system releases when no process has it open.
        os.closerange(3, requests.fileno())
        os.closerange(requests.fileno() + 1, os.sysconf("SC_OPEN_MAX"))
        signal.set_wakeup_fd(-1)
        for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ending, signal.SIG_IGN)
        for module in preload:
            import_module(module)
        gc.freeze()
        _answer(requests)


def _answer(requests: socket.socket) -> None:
    living = set[int]()
    while True:
        message, descriptors, _flags, _address = socket.recv_fds(requests, _LONGEST, 1)
        if descriptors:
            (theirs,) = descriptors
            if (pid := os.fork()) == 0:
                requests.close()
                _run(Connection(theirs))
            os.close(theirs)
            living.add(pid)
            requests.send(b"%d" % pid)
        elif message:
            living.remove(int(message))
            requests.send(b"%d" % _killed(int(message)))
        else:
            for pid in living:
                _killed(pid)
            return


def _killed(pid: int) -> int:
    # Nobody else waits for it, so that the number is still its own; what has ended keeps its exit code.
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _run(connection: "Connection[Any, Any]") -> None:
    with _ending_here():
        target, arguments = connection.recv()
        target(*arguments, connection)


@contextmanager
def _ending_here() -> Iterator[None]:
    """The process ends with the context: what called the code that forked it is not its own to go on with."""
    try:
        yield
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(1)

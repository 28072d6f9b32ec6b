"""Commands of the gateway, each in a process of its own that is forked from one that has imported the gateway
and done nothing else: importing takes most of a command's CPU time.

Its arguments, environment, files, signals and end are its own, as if a shell had started it. That commands
also start from nothing is seen where the examples of documents are followed (`documents`).
"""

import atexit
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import IO, Any, BinaryIO, Final

ROOT: Final = Path(__file__).parents[2]
MODULES: Final = ("cli", "tests.system.crashing")  # each has a `main`
_LONGEST: Final = 128 * 1024  # bytes of a request

# What commands import when they need it.
_LATE: Final = (
    "adapters.backends.http_push",
    "adapters.channels.amqp.channel",
    "adapters.cli.messages.execute",
    "adapters.cli.messages.request",
    "adapters.cli.receipt_check",
    "adapters.monitor.http_listener",
    "adapters.run.node",
    "adapters.sandbox.backends",
    "gateway.families.schema_faults",
)


class Launched:
    """A process of the command, with what tests ask of `subprocess.Popen`."""

    def __init__(self, launcher: "_Launcher", pid: int, stdout: BinaryIO | None) -> None:
        self._launcher = launcher
        self._descriptor = os.pidfd_open(pid)
        self.pid = pid
        self.stdout = stdout
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None and _readable(self._descriptor, 0):
            self.returncode = self._launcher.ask(self.pid)
            os.close(self._descriptor)
        return self.returncode

    def wait(self, timeout: float) -> int:
        if self.returncode is None and not _readable(self._descriptor, timeout):
            raise subprocess.TimeoutExpired(str(self.pid), timeout)
        code = self.poll()
        assert code is not None
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            signal.pidfd_send_signal(self._descriptor, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def launch(module: str, *arguments: str, stderr: IO[Any]) -> Launched:
    """Starts a command; its standard output is a pipe."""
    ours, theirs = os.pipe()
    try:
        launched = _launcher(module).start(arguments, os.environ, theirs, stderr.fileno())
    finally:
        os.close(theirs)
    launched.stdout = os.fdopen(ours, "rb")
    return launched


def run(
    *arguments: str, timeout: float, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs `gateway` with these arguments to its end."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        launched = _launcher("cli").start(arguments, environment or os.environ, out.fileno(), err.fileno())
        try:
            code = launched.wait(timeout)
        except subprocess.TimeoutExpired:
            launched.kill()
            raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(arguments, code, out.read(), err.read())


def _readable(descriptor: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


@cache
def _launcher(module: str) -> "_Launcher":
    return _Launcher(module)


class _Launcher:
    """The process that has imported a module, as those see it who want others of it."""

    def __init__(self, module: str) -> None:
        assert module in MODULES
        # Each message arrives whole.
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.launching", str(theirs.fileno()), module],
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
            )
        self._one_at_a_time = Lock()
        atexit.register(self._close)

    def _close(self) -> None:
        self._requests.close()
        self._process.wait()

    def start(
        self, arguments: Sequence[str], environment: Mapping[str, str], stdout: int, stderr: int
    ) -> Launched:
        return Launched(self, self.ask([arguments, dict(environment)], 0, stdout, stderr), None)

    def ask(self, request: object, *descriptors: int) -> int:
        with self._one_at_a_time:
            socket.send_fds(self._requests, [json.dumps(request).encode()], descriptors)
            answer = self._requests.recv(_LONGEST)
        assert answer, "the process that launches others has ended"
        return int(answer)


def _serve(requests: socket.socket) -> bool:
    """Returns in each process that is forked; False in this one, when nobody wants others any more."""
    running = set[int]()
    while True:
        message, descriptors, _flags, _address = socket.recv_fds(requests, _LONGEST, 3)
        request = json.loads(message) if message else None
        match request:
            case None:
                for pid in running:
                    os.kill(pid, signal.SIGKILL)
                return False
            case int(ended):
                running.remove(ended)
                answer = os.waitstatus_to_exitcode(os.waitpid(ended, 0)[1])
            case [arguments, environment]:
                answer = os.fork()
                if answer == 0:
                    requests.close()
                    _become(arguments, environment, descriptors)
                    return True
                running.add(answer)
                for descriptor in descriptors:
                    os.close(descriptor)
        requests.send(b"%d" % answer)


def _become(arguments: Sequence[str], environment: Mapping[str, str], descriptors: Sequence[int]) -> None:
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    os.closerange(len(descriptors), os.sysconf("SC_OPEN_MAX"))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv[1:] = arguments


def _launching(descriptor: int, name: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    module = import_module(name)
    cli = import_module("cli")
    for late in (*(place.module for place in cli.COMMANDS.values()), *_LATE):
        import_module(late)
    # What is there by now is shared with those that are forked: a search for garbage would copy it.
    gc.freeze()
    # The name of the program in messages is taken from these.
    sys.modules["__main__"] = module
    sys.argv[0] = str(module.__file__)
    with socket.socket(fileno=descriptor) as requests:
        forked = _serve(requests)
    if forked:
        module.main()


if __name__ == "__main__":
    _launching(int(sys.argv[1]), sys.argv[2])

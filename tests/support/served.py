"""A real `gateway serve` of its own process, home and port, and what a broker's software does with it."""

import atexit
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from sqlalchemy import Connection

from adapters.cli.init.init import create_home, free_port
from adapters.home.home import Home
from adapters.store.database import sqlite_engine
from tests.support.launching import MODULES, Launched, launch, run
from tests.support.sftp_client import Login

ROOT: Final = Path(__file__).parents[2]
SERVE: Final = ("-m", "cli", "serve")
# Bounds against hanging for ever, not expectations: the machine may be busy with other work.
READY_WITHIN: Final = 300.0
DONE_WITHIN: Final = 300.0


@cache
def _founded() -> Path:
    """One home for all tests of a run, since making the keys takes a second; never served itself."""
    folder = Path(tempfile.mkdtemp(prefix="gateway-"))
    atexit.register(shutil.rmtree, folder)
    return create_home(folder / "home", 0, datetime.now(UTC)).path


class Gateway:
    """A home below `folder` with a port of its own, kept over restarts; served while the context is open.

    `arguments` are those of the Python interpreter that serves it, without `--home`, in the folder `root`.
    """

    def __init__(self, folder: Path, arguments: Sequence[str] = SERVE, root: Path = ROOT) -> None:
        self.home = Home(folder / "home")
        self.port = free_port()
        self.log = folder / "serve.log"
        self._arguments = arguments
        self._root = root
        self._node: subprocess.Popen[bytes] | Launched | None = None
        self.create_home()
        founded = str(self.home.settings().sftp.port)
        self.configure("port", str(self.port))
        for known_hosts in self.home.path.glob("clients/*/known_hosts"):
            known_hosts.write_text(known_hosts.read_text().replace(f":{founded}", f":{self.port}"))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.running:
            self.kill()

    def create_home(self) -> None:
        """Makes the home as `gateway init` does."""
        shutil.copytree(_founded(), self.home.path)

    def configure(self, key: str, value: str) -> None:
        """Sets a key of `gateway.toml`, as TOML has it, for the next start."""
        path = self.home.path / "gateway.toml"
        lines = path.read_text("utf-8").splitlines(keepends=True)
        path.write_text(
            "".join(f"{key} = {value}\n" if line.startswith(f"{key} = ") else line for line in lines), "utf-8"
        )

    @property
    def running(self) -> bool:
        return self._node is not None

    @property
    def pid(self) -> int:
        assert self._node is not None
        return self._node.pid

    def start(self, arguments: Sequence[str] | None = None) -> None:
        """Returns when it has said that it is ready; raises `RuntimeError` with its log where it does not."""
        flag, module, *command = (*(arguments or self._arguments), "--home", str(self.home.path))
        with self.log.open("ab") as log:
            if (flag, self._root) == ("-m", ROOT) and module in MODULES:
                self._node = launch(module, *command, stderr=log)
            else:
                self._node = subprocess.Popen(
                    [sys.executable, flag, module, *command],
                    cwd=self._root,
                    stdout=subprocess.PIPE,
                    stderr=log,
                )
        assert self._node.stdout is not None
        with self._node.stdout as stdout:
            line = select.select([stdout], [], [], READY_WITHIN)[0] and stdout.readline()
        if not line:
            self.kill()
            raise RuntimeError(f"the node did not start: {self.log.read_text('utf-8')[-3000:]}")
        ready = json.loads(line)
        # Scripts read these keys, in this order.
        assert list(ready) == ["ready", "sftp", "amqp", "metrics", "home", "pid"]
        assert ready["sftp"] == f"127.0.0.1:{self.port}"

    def stop(self) -> int:
        """Asks it to drain, as an administrator does; its exit code."""
        self.signal(signal.SIGTERM)
        return self.ended()

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.ended()

    def ended(self) -> int:
        """Waits for it to end by itself; its exit code, negative for a signal."""
        assert self._node is not None
        node, self._node = self._node, None
        try:
            return node.wait(DONE_WITHIN)
        except subprocess.TimeoutExpired:
            node.kill()
            node.wait(DONE_WITHIN)
            raise

    def signal(self, number: int) -> None:
        assert self._node is not None
        self._node.send_signal(number)

    def login(self, account: str) -> Login:
        return Login(account, self.home.path / "clients" / account, "127.0.0.1", self.port)

    def send(self, account: str, name: str, body: bytes) -> None:
        """Uploads under an unfinished name and renames; that it returns is the acknowledgement.

        Raises `OSError`, `EOFError` or `paramiko.SSHException` where there is none.
        """
        with self.login(account).session() as client:
            with client.open(f"/OutBox/{name}.tmp", "wb") as file:
                file.write(body)
            client.rename(f"/OutBox/{name}.tmp", f"/OutBox/{name}")

    def inbox(self, account: str) -> list[str]:
        with self.login(account).session() as client:
            return client.listdir("/InBox")

    def read(self, account: str, path: str) -> bytes:
        with self.login(account).session() as client, client.open(path) as file:
            return file.read()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """The store, read-only, beside the running node or after it."""
        engine = sqlite_engine(self.home.database, read_only=True)
        with engine.connect() as connection:
            yield connection
        engine.dispose()

    def until(self, condition: Callable[[], Any], seconds: float = DONE_WITHIN) -> Any:
        """The first true value of `condition`; raises `AssertionError` with the log where none comes."""
        began = time.monotonic()
        while not (value := condition()):
            waited = time.monotonic() - began
            if waited > seconds:
                raise AssertionError(f"not within {seconds} s: {self.log.read_text('utf-8')[-3000:]}")
            # Asking takes CPU time that what is waited for may need.
            time.sleep(min(0.02 + waited / 20, 0.5))
        return value

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`gateway` with these arguments on this home."""
        return run(
            *arguments,
            environment={**os.environ, "GATEWAY_HOME": str(self.home.path)},
            timeout=DONE_WITHIN,
        )


@contextmanager
def customs_served(folder: Path, *arguments: str) -> Iterator[dict[str, Any]]:
    """`gateway customs serve` until the end, which is well; what it said when it was ready. Its log is in the
    folder."""
    log = folder / "customs.log"
    with log.open("ab") as out:
        process = launch("cli", "customs", "serve", *arguments, stderr=out)
    assert process.stdout is not None
    with process.stdout as stdout:
        try:
            line = select.select([stdout], [], [], READY_WITHIN)[0] and stdout.readline()
            assert line, log.read_text("utf-8")
            ready = json.loads(line)
            assert (ready["ready"], ready["pid"]) == (True, process.pid)
            yield ready
            process.terminate()
            assert process.wait(DONE_WITHIN) == 0
        finally:
            process.kill()
            process.wait(DONE_WITHIN)

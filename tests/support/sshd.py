"""OpenSSH's server, private: own configuration, host key and port, ended by its own process ids."""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from functools import cache
from getpass import getuser
from pathlib import Path
from typing import Final, Self

from adapters.cli.init.init import free_port
from adapters.home.ssh_keys import make_ed25519, write_private

_READY_WITHIN: Final = 120.0
_SERVER: Final = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or "sshd"


class Sshd:
    """Serves `root` over SFTP to whoever holds `key`, as the user of the tests; started and stopped at will,
    on the same port and with the same host key."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.root.mkdir(parents=True)
        self.key = folder / "client_ed25519"
        self.port = free_port()
        self.folder = folder
        self._server: subprocess.Popen[bytes] | None = None
        private, public = make_ed25519()
        write_private(self.key, private)
        (folder / "authorized_keys").write_text(f"{public}\n")
        self.host_key = self.take_host_key()

    def take_host_key(self) -> str:
        """A new host key, in force with the next start; its line."""
        private, public = make_ed25519()
        (self.folder / "host_ed25519").unlink(missing_ok=True)
        write_private(self.folder / "host_ed25519", private)
        return public

    def settings(self, folder: str = ".") -> dict[str, object]:
        """The settings of a log-in there (`connections.RemoteFolders`)."""
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "user": getuser(),
            "key": str(self.key),
            "host_key": self.host_key,
            "folder": folder,
        }

    def toml(self, folder: str = ".") -> str:
        return "".join(
            f"{key} = {value}\n" if isinstance(value, int) else f'{key} = "{value}"\n'
            for key, value in self.settings(folder).items()
        )

    def start(self, subsystem: str = "internal-sftp") -> Self:
        """Returns when it answers. `subsystem` may name options of `sftp-server`."""
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # where a server of root parts with its rights
        config = self.folder / "sshd_config"
        config.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.folder}/host_ed25519\n"
            f"AuthorizedKeysFile {self.folder}/authorized_keys\nStrictModes no\nPidFile none\n"
            f"PasswordAuthentication no\nKbdInteractiveAuthentication no\nMaxStartups 100\n"
            f"Subsystem sftp {subsystem} -d {self.root}\nForceCommand {subsystem} -d {self.root}\n"
        )
        with (self.folder / "sshd.log").open("ab") as log:
            # It ends with a test that is killed.
            command = ["setpriv", "--pdeathsig", "KILL", "--", _SERVER, "-D", "-e", "-f", str(config)]
            self._server = subprocess.Popen(command, stderr=log)
        deadline = time.monotonic() + _READY_WITHIN
        while not self._answers():
            if time.monotonic() > deadline or self._server.poll() is not None:
                raise RuntimeError((self.folder / "sshd.log").read_text())
            time.sleep(0.02)
        return self

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as there:
                return there.recv(4) == b"SSH-"
        except OSError:
            return False

    def stop(self) -> None:
        """With every session of it, at once. Safe to call when it does not run."""
        if self._server is None:
            return
        server, self._server = self._server, None
        # Halted first, so that a session which begins just now is not overlooked.
        halted: list[int] = []
        while new := [pid for pid in (server.pid, *_below(server.pid)) if pid not in halted]:
            for pid in new:
                _signal(pid, signal.SIGSTOP)
            halted += new
        for pid in halted:
            _signal(pid, signal.SIGKILL)
        server.wait()

    def log(self) -> str:
        return (self.folder / "sshd.log").read_text()


@cache
def shared() -> Sshd:
    """One for all tests of a process that only need some server: folders are named by their whole path."""
    folder = Path(tempfile.mkdtemp(prefix="sshd-"))
    atexit.register(shutil.rmtree, folder)
    server = Sshd(folder / "server").start()
    atexit.register(server.stop)
    return server


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _below(pid: int) -> list[int]:
    """The processes that came of this one, which is not among them."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    collected: list[int] = []
    generation = {pid}
    while generation:
        generation = {child for child, parent in parents.items() if parent in generation}
        collected += generation
    return collected

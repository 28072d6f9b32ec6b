"""Clients of brokers: OpenSSH's `sftp`, one process for each connection, the cheapest client available."""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from adapters.home.home import Home
from bench.serving import Serving
from bench.traffic import ACCOUNT, Sent
from tests.support.sftp_client import Login

CONNECTIONS = 8


class Clients:
    """`CONNECTIONS` logged-in sessions that wait for commands."""

    def __init__(self, home: Home, served: Serving) -> None:
        login = Login(ACCOUNT, home.path / "clients" / ACCOUNT, served.host, served.port)
        self._sessions = [
            subprocess.Popen(
                login.command("-q"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            for _ in range(CONNECTIONS)
        ]
        for session in self._sessions:
            assert session.stdin is not None
            assert session.stdout is not None
            session.stdin.write(b"pwd\n")
            session.stdin.flush()
            while b"Remote working directory" not in (line := session.stdout.readline()):
                assert line, "sftp has ended"

    def send(self, files: Sequence[Path]) -> float:
        """Starts uploads of all files in equal shares, each under an unfinished name with a rename; returns
        the start time (perf_counter) without waiting for the end."""
        begun = time.perf_counter()
        for number, session in enumerate(self._sessions):
            lines = [_upload(file) for file in files[number::CONNECTIONS]]
            assert session.stdin is not None
            session.stdin.write("".join(lines).encode())
            session.stdin.close()
        return begun

    def pids(self) -> list[int]:
        """Of the sessions that have not been waited for."""
        return [session.pid for session in self._sessions if session.returncode is None]

    def wait(self) -> None:
        for session in self._sessions:
            assert session.stdout is not None
            said = session.stdout.read()
            assert session.wait() == 0, said.decode()


def _upload(file: Path) -> str:
    final = f"/OutBox/{file.name}"
    return f'put "{file}" "{final}.tmp"\nrename "{final}.tmp" "{final}"\n'


def written(folder: Path, sent: Sequence[Sent]) -> list[Path]:
    """Writes the packages to files in the folder."""
    folder.mkdir()
    for each in sent:
        (folder / each.name).write_bytes(each.body)
    return [folder / each.name for each in sent]

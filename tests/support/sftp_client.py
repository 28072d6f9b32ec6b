"""OpenSSH's `sftp` and paramiko's client, as a broker's software would use them."""

import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import paramiko


@dataclass(frozen=True)
class Login:
    """Who connects where: `folder` holds `id_ed25519` and `known_hosts`, as `gateway init` makes them."""

    account: str
    folder: Path
    host: str
    port: int

    def arguments(self, *options: str) -> list[str]:
        return [
            "-F",
            "/dev/null",
            "-i",
            str(self.folder / "id_ed25519"),
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            f"UserKnownHostsFile={self.folder / 'known_hosts'}",
            *options,
        ]

    def command(self, *options: str) -> list[str]:
        where = f"{self.account}@{self.host}"
        return ["sftp", *self.arguments(*options), "-P", str(self.port), "-b", "-", where]

    def sftp(
        self, *batch: str, options: Sequence[str] = (), seconds: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Runs the batch through OpenSSH's `sftp`; its exit code is 0 only if every line succeeded."""
        return subprocess.run(
            self.command(*options),
            input="\n".join(batch) + "\n",
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def key(self) -> paramiko.PKey:
        return paramiko.Ed25519Key.from_private_key_file(str(self.folder / "id_ed25519"))

    def transport(self) -> paramiko.Transport:
        """A connection that is not logged in yet."""
        return paramiko.Transport(socket.create_connection((self.host, self.port), timeout=10))

    @contextmanager
    def session(self) -> Iterator[paramiko.SFTPClient]:
        """paramiko's client, logged in."""
        with self.transport() as transport:
            transport.connect(username=self.account, pkey=self.key())
            client = paramiko.SFTPClient.from_transport(transport)
            assert client is not None
            try:
                yield client
            finally:
                # Where the server has ended the connection, the client's own goodbye finds nobody.
                with suppress(EOFError):
                    client.close()

"""`gateway init`: creates a home that can be served at once, with keys, accounts, register and samples."""

import shutil
import socket
from collections.abc import Callable, Sequence
from datetime import datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from adapters.cli.init.sample_mandates import grant_mandates
from adapters.cli.init.samples import write_samples
from adapters.home.actor import actor
from adapters.home.certificates import make_p256_pair, make_rsa_pair
from adapters.home.file_modes import private
from adapters.home.home import Home
from adapters.home.host_keys import KINDS
from adapters.home.parties_toml import read_parties
from adapters.home.ssh_keys import make_ecdsa, make_ed25519, make_rsa, write_private
from adapters.store.migrate import migrate
from adapters.store.write.parties import SqlParties
from gateway.config.settings import toml
from gateway.operate.parties import import_parties

_COPIED: Final = ("gateway.toml", "parties.toml", "policy.toml", "routes.toml")


class HomeExists(Exception):
    """The folder exists and is not empty; `init` never overwrites anything."""


def create_home(path: Path, port: int | None, now: datetime) -> Home:
    """Creates the home; raises `HomeExists`. A `port` of 0 picks a port that is free now, and stores it."""
    if path.exists() and any(path.iterdir()):
        raise HomeExists(f"{path} is not empty")
    with private():
        return _created(path, port, now)


def _created(path: Path, port: int | None, now: datetime) -> Home:
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    home = Home(path)
    for name in _COPIED:
        with as_file(files("config") / name) as source:
            shutil.copyfile(source, path / name)
    if port is not None:
        _set_port(path / "gateway.toml", port or free_port())
    home.keys.mkdir()
    host_lines = _make_host_keys(home)
    _write_pair(home.signing_key, home.certificate, make_p256_pair, "gateway", now)
    _make_clients(home, host_lines, now)
    migrate(home.database)
    records = read_parties(home.parties)
    home.blobs.mkdir()
    with home.store() as database:
        import_parties(SqlParties(database), records, actor(), "init", now)
        grant_mandates(home, database, now)
    write_samples(path)
    return home


def _set_port(settings: Path, port: int) -> None:
    lines = settings.read_text(encoding="utf-8").splitlines(keepends=True)
    settings.write_text(
        "".join(f"port = {port}\n" if line.startswith("port = ") else line for line in lines),
        encoding="utf-8",
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _make_host_keys(home: Home) -> list[str]:
    """Creates one key of each kind; returns lines of known_hosts without the host names."""
    lines = []
    for kind, make in zip(KINDS, (make_ed25519, make_ecdsa, make_rsa), strict=True):
        private, line = make()
        write_private(home.keys / f"ssh_host_{kind}", private)
        (home.keys / f"ssh_host_{kind}.pub").write_text(f"{line}\n")
        lines.append(line)
    return lines


def _make_clients(home: Home, host_lines: Sequence[str], now: datetime) -> None:
    settings = home.settings().sftp
    names = f"[127.0.0.1]:{settings.port},[localhost]:{settings.port}"
    known_hosts = "".join(f"{names} {line}\n" for line in host_lines)
    parties = toml("parties.toml", home.parties.read_text(encoding="utf-8"))["party"]
    for party in (party for party in parties if "account" in party):
        folder = home.path / "clients" / party["account"]["name"]
        folder.mkdir(parents=True)
        private, line = make_ed25519()
        write_private(folder / "id_ed25519", private)
        (folder / "id_ed25519.pub").write_text(f"{line} {folder.name}\n")
        (folder / "known_hosts").write_text(known_hosts)
        # Both kinds occur in practice, so a new home has both.
        make_pair = make_rsa_pair if party["role"] == "broker" else make_p256_pair
        _write_pair(folder / "sign.key", folder / "sign.crt", make_pair, party["code"], now)


def _write_pair(
    key: Path,
    certificate: Path,
    make: Callable[[str, datetime], tuple[bytes, bytes]],
    name: str,
    now: datetime,
) -> None:
    private, public = make(name, now)
    write_private(key, private)
    certificate.write_bytes(public)

"""The files that `gateway.toml` names: keys, certificates and passwords."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from adapters.home import Home
from gateway.settings import BadSettings, Settings

# Keys of gateway.toml that name a file, and those whose file is nobody else's to read.
_SECRET: Final = ("key", "password_file", "secret_file")
_NAMED: Final = ("ca", "certificate", "client_ca", "pusher", *_SECRET)

# Reads files anew as they are to be used, and raises where they cannot be. What it returns puts them to use
# for every connection from then on, and raises nothing.
Renewal = Callable[[], Callable[[], None]]


@dataclass(frozen=True, slots=True)
class NamedFile:
    """`setting` is its key as the file has it. What is wrong is told in a sentence, else empty: whether it is
    `missing`, or `exposed` to others."""

    setting: str
    missing: str = ""
    exposed: str = ""


def named_files(home: Home) -> Sequence[NamedFile]:
    """Raises `BadSettings`."""
    settings = home.settings().model_dump(exclude_none=True)
    return [_looked_at(home, setting, path) for setting, path in _named(settings)]


def file_digests(home: Home, settings: Settings) -> tuple[dict[str, str], dict[str, str]]:
    """SHA-256 (hex) of the files of a node that runs by these settings, with the home's own pair: of those
    that anybody may see, and of the secret ones, whose digest is not to be shown: a password is guessed from
    it. Raises `OSError`."""
    shown = {"keys/gateway.crt": _digest(home.certificate)}
    secret = {"keys/gateway.key": _digest(home.signing_key)}
    for setting, path in _named(settings.model_dump(exclude_none=True)):
        where = secret if setting.endswith(_SECRET) else shown
        where[setting] = _digest(home.path / path)
    return shown, secret


def named_paths(home: Home) -> Sequence[Path]:
    """Where the files are. Raises `BadSettings`."""
    return [home.path / path for _, path in _named(home.settings().model_dump(exclude_none=True))]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_named_files(home: Home, section: str = "") -> None:
    """Raises `BadSettings` that names each setting of a section whose file cannot be read: a node that starts
    without would be turned away by the other side for ever."""
    named = [each for each in named_files(home) if each.setting.startswith(section)]
    if wrong := "; ".join(each.missing for each in named if each.missing):
        raise BadSettings(f"gateway.toml: {wrong}")


def _looked_at(home: Home, setting: str, path: str) -> NamedFile:
    try:
        with (home.path / path).open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    except OSError as error:
        return NamedFile(setting, missing=f"{setting}: {path}: {error.strerror}")
    if mode & 0o077 and setting.endswith(_SECRET):
        return NamedFile(setting, exposed=f"{setting}: {path} can be read by others (mode {mode:o})")
    return NamedFile(setting)


def _named(section: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for key, value in section.items():
        if isinstance(value, dict):
            yield from _named(value, f"{above}{key}.")
        elif key in _NAMED and isinstance(value, str):
            yield f"{above}{key}", value

"""The files that `gateway.toml` names: keys, certificates and passwords."""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from adapters.home import Home
from gateway.settings import BadSettings

# Keys of gateway.toml that name a file, and those whose file is nobody else's to read.
_SECRET: Final = ("key", "password_file", "secret_file")
_NAMED: Final = ("ca", "certificate", "client_ca", "pusher", *_SECRET)


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

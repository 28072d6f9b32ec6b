"""Folders in which the gateway and another party both work, on this machine or on an SFTP server.

Failures are `OSError`: `FileNotFoundError` and `PermissionError` as usual, `Unreachable` for an outage,
`NotLetIn` if the other side refuses our log-in or is not the expected server.
"""

import errno
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import IO, Final, Protocol


class Unreachable(ConnectionError):
    """There is no connection, or it broke: the last operation may have been done."""


class Overloaded(ConnectionError):
    """The server asks us to come back later; nothing was done."""


class NotLetIn(PermissionError):
    """The log-in was refused, or the server shows another host key than expected; nothing was sent."""


OUTAGES: Final = (Unreachable, Overloaded, NotLetIn)  # concern the whole place, not one file


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """A file as its folder lists it. Bytes of a name that are not UTF-8 become surrogate escapes; `changed`
    is in nanoseconds since 1970; `mark` differs for another file with the same name, as far as the place can
    tell. `plain` is false for folders, links and devices."""

    name: str
    size: int
    changed: int
    mark: str
    plain: bool = True


def anything(_found: FolderEntry) -> bool:
    return True


class Files(Protocol):
    """Files below one root, in folders that the caller names (`in/done`); a name is one step, or `OSError`
    with `EINVAL`. No link is followed out of a folder of this machine. Used by one thread at a time."""

    def listing(self, folder: str, wanted: Callable[[FolderEntry], bool] = anything) -> list[FolderEntry]:
        """The `wanted` ones of the first `FIRST` entries, without `.` and `..`, in no order; `MOST` at
        most."""
        ...

    def look(self, folder: str, name: str) -> FolderEntry | None:
        """The file without following a link, None if it or its folder does not exist."""
        ...

    def read(self, folder: str, name: str) -> Generator[bytes, None, None]:
        """The bytes in pieces, front to back."""
        ...

    def write(self, folder: str, name: str, fill: Callable[[IO[bytes]], object]) -> None:
        """Creates or replaces the file with what `fill` writes (to a seekable stream); its bytes are durable
        when this returns, as far as the place can promise it."""
        ...

    def move(self, folder: str, name: str, to_folder: str, to_name: str) -> None:
        """Durable when it returns, as far as the place can promise it. May replace what has that name."""
        ...

    def rename(self, folder: str, name: str, to_name: str) -> None:
        """As `move` within a folder, but an `OSError` where something has that name."""
        ...

    def remove(self, folder: str, name: str) -> None: ...

    def make(self, folder: str) -> None:
        """The folder is there; that above it must be."""
        ...

    def close(self) -> None:
        """Lets the connection go; it comes back with the next use."""
        ...


MOST: Final = 10_000  # entries of a folder that are shown in one turn
FIRST: Final = 100 * MOST  # that are looked at for it: a server may send them without end


def checked(name: str) -> str:
    """The name of a file, where it is one step of a path."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise OSError(errno.EINVAL, "not the name of a file")
    return name

"""Folders in which the gateway and another party both work, on this machine or on an SFTP server.

Failures are `OSError`: `FileNotFoundError` and `PermissionError` as usual, `Unreachable` for an outage,
`NotLetIn` if the other side refuses our log-in or is not the expected server.
"""

import errno
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import IO, Final, Protocol


class Unreachable(ConnectionError):
    """There is no connection, or it broke: the last operation may have taken effect."""


class Overloaded(ConnectionError):
    """The server has no capacity for the connection; nothing was done."""


class NotLetIn(PermissionError):
    """The log-in was refused, or the server shows another host key than expected; nothing was sent."""


OUTAGES: Final = (Unreachable, Overloaded, NotLetIn)  # concern the whole place, not one file


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """An entry of a folder. Bytes of a name that are not UTF-8 become surrogate escapes; `changed` is in
    nanoseconds since 1970; `mark` changes when another file takes the same name, as far as the file system or
    server can show that. `plain` is false for folders, links and devices."""

    name: str
    size: int
    changed: int
    mark: str
    plain: bool = True


def anything(_found: FolderEntry) -> bool:
    return True


class Files(Protocol):
    """Files below one root, in folders that the caller names (`in/done`). A file name is a single step of a
    path; any other raises `OSError` with `EINVAL`. On this machine no link is followed out of a folder. Used
    by one thread at a time."""

    def listing(self, folder: str, wanted: Callable[[FolderEntry], bool] = anything) -> list[FolderEntry]:
        """The `wanted` entries among about the first `FIRST`, without `.` and `..`, in no order, at most
        `MOST`."""
        ...

    def look(self, folder: str, name: str) -> FolderEntry | None:
        """The file without following a link, None if it or its folder does not exist."""
        ...

    def read(self, folder: str, name: str) -> Generator[bytes, None, None]:
        """The content of a file in pieces."""
        ...

    def write(self, folder: str, name: str, fill: Callable[[IO[bytes]], object]) -> None:
        """Creates or replaces the file; `fill` writes the content to a seekable stream. It is durable when
        this returns, as far as the file system or server can guarantee that."""
        ...

    def move(self, folder: str, name: str, to_folder: str, to_name: str) -> None:
        """Moves a file; an existing file with the new name may be replaced. Durable when this returns, as far
        as the file system or server can guarantee that."""
        ...

    def rename(self, folder: str, name: str, to_name: str) -> None:
        """Renames a file within a folder. Raises `OSError` where something has the new name already, if the
        file system or server can prevent replacing it."""
        ...

    def remove(self, folder: str, name: str) -> None: ...

    def make(self, folder: str) -> None:
        """Creates a folder if it does not exist; its parent must exist."""
        ...

    def close(self) -> None:
        """Closes the connection; the next use opens it again."""
        ...


MOST: Final = 10_000  # entries of a folder in one listing
FIRST: Final = 100 * MOST  # entries read for one listing: a server may send them without end


def checked(name: str) -> str:
    """The name, if it is a single step of a path. Raises `OSError` with `EINVAL` otherwise."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise OSError(errno.EINVAL, "not the name of a file")
    return name

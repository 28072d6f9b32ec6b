"""Folders that the gateway and somebody else both work in, on this machine or on an SFTP server.

What fails is an `OSError`: `FileNotFoundError` and `PermissionError` as ever, `Unreachable` for an outage,
`NotLetIn` where the other side does not take us for who we are, or is not who it should be.
"""

import errno
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import IO, Final, Protocol


class Unreachable(ConnectionError):
    """There is no connection, or it broke: what was asked last may have been done."""


class Overloaded(ConnectionError):
    """It asks us to come back later; nothing was done."""


class NotLetIn(PermissionError):
    """The log-in was refused, or the server shows another host key than it should; nothing was sent."""


OUTAGES: Final = (Unreachable, Overloaded, NotLetIn)  # of the whole place, not of one file


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """A file as its folder shows it. Bytes of a name that are no UTF-8 stand in it as surrogate escapes;
    `changed` is in nanoseconds since 1970, `mark` is another for a file that took the name of this one, as
    far as the place can tell. `plain` is false for folders, links and devices."""

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
        """Those that are `wanted` of the first `FIRST`, but for `.` and `..`, in no order; `MOST` at most."""
        ...

    def look(self, folder: str, name: str) -> FolderEntry | None:
        """The file without following it, None where it or its folder is not there."""
        ...

    def read(self, folder: str, name: str) -> Generator[bytes, None, None]:
        """The bytes in pieces, front to back."""
        ...

    def write(self, folder: str, name: str, fill: Callable[[IO[bytes]], object]) -> None:
        """Makes the file anew from what `fill` writes (to a stream that can seek); its bytes are durable when
        this returns, as far as the place can promise it."""
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

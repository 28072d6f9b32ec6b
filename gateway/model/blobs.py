"""Packages that are kept, and bytes on their way to that.

A small package is kept in the store, in the commit of its message; a larger one as a blob, before that.
"""

import hashlib
from dataclasses import dataclass, field
from typing import IO, Final, Protocol, Self

SMALL: Final = 64 * 1024  # bytes of the largest package that is kept in the store


@dataclass(frozen=True, slots=True)
class Package:
    """A package that a message may be made of: `body` holds a small one, which becomes durable with its
    message; others are blobs already."""

    sha256: str
    size: int
    body: bytes | None = field(default=None, repr=False)

    @classmethod
    def small(cls, body: bytes) -> Self:
        return cls(hashlib.sha256(body).hexdigest(), len(body), body)


class Spool(Protocol):
    """Incoming bytes that do not belong to a message yet. Used by one thread at a time."""

    @property
    def size(self) -> int: ...

    def write(self, offset: int, data: bytes) -> None:
        """Writes at any offset, in any order; a full disk raises `OSError` and leaves the spool usable for
        `discard` only."""
        ...

    def truncate(self, size: int) -> None: ...

    def read(self, offset: int, length: int) -> bytes: ...

    def keep(self) -> Package:
        """The bytes as a package. If there are more than `SMALL`, they are durable as a blob (file and folder
        synced): it survives a power cut, and `BlobStore.open` finds it.

        The spool cannot be used again. Raises `OSError` and keeps nothing when it cannot guarantee that.
        """
        ...

    def discard(self) -> None:
        """Leaves nothing behind. Safe to call twice, and after `keep`."""
        ...


class BlobStore(Protocol):
    """The packages, immutable, by SHA-256. The same bytes are kept once."""

    def spool(self) -> Spool: ...

    def open(self, sha256: str) -> IO[bytes]:
        """A seekable stream; raises `KeyError` where there is no such package."""
        ...

    def sweep(self) -> int:
        """Removes spools that a crash left behind and returns their number; called before serving."""
        ...


def kept(body: bytes, blobs: BlobStore) -> Package:
    """Bytes that are in memory as a package (`Spool.keep`); blocks for large ones."""
    if len(body) <= SMALL:
        return Package.small(body)
    spool = blobs.spool()
    try:
        spool.write(0, body)
        return spool.keep()
    finally:
        spool.discard()

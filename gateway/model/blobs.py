"""Bytes that are kept, and bytes on their way to that."""

from typing import IO, Protocol


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

    def keep(self) -> tuple[str, int]:
        """Makes the bytes durable as a blob (file and folder synced) and returns (SHA-256 in hex, size).

        After it returns, the blob survives a power cut and `BlobStore.open` finds it. The spool cannot be
        used again. Raises `OSError` and keeps nothing when it cannot guarantee that.
        """
        ...

    def discard(self) -> None:
        """Leaves nothing behind. Safe to call twice, and after `keep`."""
        ...


class BlobStore(Protocol):
    """Immutable bytes by SHA-256. Written before they are referenced; the same bytes are kept once."""

    def spool(self) -> Spool: ...

    def open(self, sha256: str) -> IO[bytes]:
        """A seekable stream; raises `KeyError` where there is no such blob."""
        ...

    def sweep(self) -> int:
        """Removes spools that a crash left behind and returns their number; called before serving."""
        ...

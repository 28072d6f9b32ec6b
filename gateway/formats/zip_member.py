"""Reads a file inside a stored package as a stream, unpacking it on the way."""

import errno
import io
from collections.abc import Callable, Iterator
from typing import IO, Any, Final

from gateway.formats.archive import Archive, ArchiveEntry, ArchiveLimits, open_archive
from gateway.model.dossier import Stored
from gateway.model.faults import MessageRejected

# The package was judged under the limits of its day, which may have been wider than today's.
_LIMITS: Final = ArchiveLimits(entries=65_535, ratio=1 << 40, size=1 << 50)
_BUFFER: Final = 64 * 1024


def opened_part(stored: Stored, opened: Callable[[str], IO[bytes]]) -> IO[bytes]:
    """The bytes of a stored package or of a file in it, as a seekable stream; `opened` returns the bytes with
    a SHA-256. At most two chunks of 64 KB are in memory.

    Raises `KeyError` where the package or the file is missing. A damaged package raises `OSError`, here or
    while the stream is read, so the data must not be used before its end is reached.
    """
    package = opened(stored.sha256)
    if not stored.part:
        return package
    try:
        archive = open_archive(package, _LIMITS)
        entry = next(each for each in archive.entries if each.name == stored.part)
    except MessageRejected as damaged:
        package.close()
        raise _damage(stored.sha256) from damaged
    except StopIteration:
        package.close()
        raise KeyError(stored.part) from None
    return io.BufferedReader(_Unpacked(package, archive, entry), _BUFFER)


class _Unpacked(io.RawIOBase):
    """Seeking backwards unpacks again from the start, since deflated data can only be read forwards."""

    def __init__(self, package: IO[bytes], archive: Archive, entry: ArchiveEntry) -> None:
        super().__init__()
        self._package = package
        self._archive = archive
        self._entry = entry
        self._chunks: Iterator[bytes] = archive.open(entry)
        self._chunk = memoryview(b"")  # unpacked and not read yet
        self._at = 0  # the offset of `_chunk`
        self._wanted = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._wanted, io.SEEK_END: self._entry.size}[whence]
        self._wanted = start + offset
        return self._wanted

    def tell(self) -> int:
        return self._wanted

    def readinto(self, buffer: Any) -> int:
        if self._wanted < self._at:
            self._chunks = self._archive.open(self._entry)
            self._chunk, self._at = memoryview(b""), 0
        try:
            while self._wanted >= self._at + len(self._chunk):
                self._at += len(self._chunk)
                self._chunk = memoryview(next(self._chunks))
        except StopIteration:
            self._chunk = memoryview(b"")
            return 0
        except MessageRejected as damaged:
            raise _damage(self._entry.name) from damaged
        self._chunk = self._chunk[self._wanted - self._at :]
        self._at = self._wanted
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._chunk))
        target[:count] = self._chunk[:count]
        self._chunk = self._chunk[count:]
        self._at += count
        self._wanted += count
        return count

    def close(self) -> None:
        self._package.close()
        super().close()


def _damage(what: str) -> OSError:
    return OSError(errno.EIO, "a stored package is damaged", what)

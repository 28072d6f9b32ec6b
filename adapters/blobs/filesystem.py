"""Large packages as files named by their SHA-256: `root/<first 2 hex>/<sha256>`; unfinished ones in
`root/spool`."""

import hashlib
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from adapters.home.folder_sync import sync_folder
from gateway.model.blobs import SMALL, Package
from gateway.run.crash_points import crash_point

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_CHUNK: Final = 1024 * 1024


class FilesystemBlobs:
    """gateway.model.blobs.BlobStore on one local file system.

    A crash leaves at most a file in `spool/`, which `sweep` removes, or a blob to which nothing refers.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._spools = root / "spool"
        self._spools.mkdir(parents=True, exist_ok=True)
        # All 256 folders are created and synced now: if they were created during an upload, one thread could
        # rely on a folder that another has created and not yet synced.
        for first in range(256):
            (root / f"{first:02x}").mkdir(exist_ok=True)
        sync_folder(root)
        sync_folder(root.parent)

    def spool(self) -> "FileSpool":
        return FileSpool(self._root, self._spools / secrets.token_hex(16))

    def open(self, sha256: str) -> IO[bytes]:
        try:
            return open(_path(self._root, sha256), "rb")
        except FileNotFoundError:
            raise KeyError(sha256) from None

    def sweep(self) -> int:
        spools = list(self._spools.iterdir())
        for spool in spools:
            spool.unlink()
        return len(spools)


class FileSpool:
    """gateway.model.blobs.Spool: hashed while it is written front to back, else read again when it is
    kept."""

    def __init__(self, root: Path, path: Path) -> None:
        self._root = root
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._closed = False
        self._failure: OSError | None = None
        self._hash = hashlib.sha256()
        self._hashed: int | None = 0  # number of leading bytes in the hash; None: the hash is unusable
        self.size = 0

    def write(self, offset: int, data: bytes) -> None:
        try:
            _write_all(self._descriptor, data, offset)
        except OSError as error:
            self._failure = error
            raise
        if self._hashed == offset:
            self._hash.update(data)
            self._hashed += len(data)
        elif self._hashed is not None and offset < self._hashed:
            self._hashed = None
        self.size = max(self.size, offset + len(data))

    def truncate(self, size: int) -> None:
        try:
            os.ftruncate(self._descriptor, size)
        except OSError as error:
            self._failure = error
            raise
        if self._hashed is not None and size < self._hashed:
            self._hashed = None
        self.size = size

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self._descriptor, length, offset)

    def keep(self) -> Package:
        if self._failure is None and self.size <= SMALL:
            body = self.read(0, SMALL)
            self.discard()
            return Package.small(body)
        return self._kept_as_blob()

    @crash_point("keep-a-blob")
    def _kept_as_blob(self) -> Package:
        try:
            if self._failure is not None:
                raise self._failure
            sha256 = self._digest()
            os.fsync(self._descriptor)
            target = _path(self._root, sha256)
            # A link and not a rename, which would replace: a kept file is never touched again. If the same
            # bytes are there already, another thread may not have synced the folder yet, so it is synced
            # anyway.
            with suppress(FileExistsError):
                os.link(self._path, target)
            # If this fails, the blob stays, unused: another thread may have promised the same bytes.
            sync_folder(target.parent)
        finally:
            self.discard()
        return Package(sha256, self.size)

    def discard(self) -> None:
        if self._closed:
            return
        self._closed = True
        os.close(self._descriptor)
        self._path.unlink(missing_ok=True)

    def _digest(self) -> str:
        if self._hashed == self.size:
            return self._hash.hexdigest()
        whole = hashlib.sha256()
        offset = 0
        while chunk := os.pread(self._descriptor, _CHUNK, offset):
            whole.update(chunk)
            offset += len(chunk)
        return whole.hexdigest()


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    # pwrite may write less than it was given, for example on the last free block of a disk; the next call
    # raises the reason.
    written = os.pwrite(descriptor, data, offset)
    while written < len(data):
        written += os.pwrite(descriptor, data[written:], offset + written)


def _path(root: Path, sha256: str) -> Path:
    """Refuses anything but a digest with `KeyError`, so that no other string becomes a path."""
    if not _SHA256.fullmatch(sha256):
        raise KeyError(sha256)
    return root / sha256[:2] / sha256

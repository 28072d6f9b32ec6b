"""All packages of a home: small ones are rows of its store, others files."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from io import BytesIO
from typing import IO, Self

from sqlalchemy import Connection

from adapters.blobs.filesystem import FilesystemBlobs
from adapters.home.home import Home
from adapters.store.read.packages import package_body
from gateway.model.blobs import Spool


class Packages:
    """gateway.model.blobs.BlobStore. `connect` gives a connection to the store; where that may be called from
    any thread, so may this."""

    def __init__(
        self, files: FilesystemBlobs, connect: Callable[[], AbstractContextManager[Connection]]
    ) -> None:
        self._files = files
        self._connect = connect

    @classmethod
    def of(cls, home: Home, connect: Callable[[], AbstractContextManager[Connection]]) -> Self:
        return cls(FilesystemBlobs(home.blobs), connect)

    def spool(self) -> Spool:
        return self._files.spool()

    def open(self, sha256: str) -> IO[bytes]:
        try:
            return self._files.open(sha256)
        except KeyError:
            with self._connect() as reader:
                body = package_body(reader, sha256)
            if body is None:
                raise
            return BytesIO(body)

    def sweep(self) -> int:
        return self._files.sweep()

"""Open files: an upload being stored, and a file of the account being read."""

from collections.abc import Callable
from datetime import datetime
from typing import IO, Final

from adapters.channels.sftp_server.services import SftpServices, no_room
from adapters.channels.sftp_server.uploads import Upload, Uploads
from adapters.channels.sftp_server.wire import FileAttributes, RequestRefused, denied
from adapters.transport.sftp.codec import Status
from gateway.model.blobs import Spool
from gateway.model.parties import Account
from gateway.receive.allowance import UploadAllowance

FILE: Final = 0o100644
# The limit for all unfinished uploads of an account, in packages of the largest size.
PACKAGES_TOGETHER: Final = 4


class UploadHandle:
    """A handle on an upload that it holds until it is closed or aborted.

    Closing finishes a file with a final name (`finish` is called and raises if nothing was kept) and leaves
    one with an unfinished name for later.
    """

    def __init__(
        self,
        upload: Upload,
        uploads: Uploads,
        services: SftpServices,
        account: Account,
        finish: Callable[[Upload], None] | None,
        room: UploadAllowance | None = None,
        *,
        append: bool,
    ) -> None:
        self.upload = upload
        self._uploads = uploads
        self._services = services
        self._account = account
        self._finish = finish
        self._room = room
        self._append = append

    def write(self, offset: int, data: bytes) -> None:
        """A failed write ends the upload: it could not become complete afterwards."""
        spool = self._usable()
        start = spool.size if self._append else offset
        self._bound(start + len(data))
        try:
            spool.write(start, data)
        except OSError:
            self.abort()
            raise

    def truncate(self, size: int) -> None:
        spool = self._usable()
        self._bound(size)
        try:
            spool.truncate(size)
        except OSError:
            self.abort()
            raise

    def read(self, offset: int, length: int) -> bytes:
        spool = self._usable()
        # Offsets are unsigned in the protocol: beyond the end, they may be larger than a file's offset can
        # be.
        return spool.read(offset, length) if offset < spool.size else b""

    def stat(self) -> FileAttributes:
        return FileAttributes(FILE, self._usable().size, self.upload.touched)

    def close(self) -> None:
        self._usable()
        if self._finish is not None:
            self._finish(self.upload)
        else:
            self._uploads.release(self.upload, self._services.clock())

    def abort(self) -> None:
        """Discards the upload. Safe to call twice."""
        if self.upload.held:
            self._uploads.drop(self.upload)

    def _usable(self) -> Spool:
        if self.upload.gone:
            self.abort()
            raise RequestRefused(Status.FAILURE, "The upload was broken off; nothing was kept")
        return self.upload.spool

    def _bound(self, size: int) -> None:
        most = self._account.max_package
        if size > most:
            self.abort()
            raise RequestRefused(Status.FAILURE, f"A package may have {most} bytes at most; nothing was kept")
        if self._room is not None and size > self._room.most:
            self.abort()
            raise no_room(self._room.why)
        try:
            self._uploads.grow(self.upload, size, PACKAGES_TOGETHER * most)
        except RequestRefused:
            self.abort()
            raise


class DownloadHandle:
    """A handle on a stored file. `fetched` is called once, at the close, if the end was read."""

    def __init__(
        self, stream: IO[bytes], size: int, at: datetime, fetched: Callable[[], None] | None = None
    ) -> None:
        self._stream = stream
        self._size = size
        self._at = at
        self._fetched = fetched
        self._whole = False

    def write(self, offset: int, data: bytes) -> None:
        raise denied("The file is open for reading only")

    def truncate(self, size: int) -> None:
        raise denied("The file is open for reading only")

    def read(self, offset: int, length: int) -> bytes:
        if offset >= self._size:
            return b""
        self._stream.seek(offset)
        data = self._stream.read(length)
        if data and offset + len(data) >= self._size:
            self._whole = True
        return data

    def stat(self) -> FileAttributes:
        return FileAttributes(FILE, self._size, self._at)

    def close(self) -> None:
        self._stream.close()
        if self._whole and self._fetched is not None:
            self._fetched()

    def abort(self) -> None:
        self._stream.close()

"""Folders on another party's SFTP server."""

import errno
import io
import os
import socket
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

import paramiko

from adapters.transport.files.folders import FIRST, MOST, FolderEntry, Unreachable, anything, checked
from adapters.transport.sftp.codec import FSYNC, POSIX_RENAME, BadPacket, Command, Mode, pack
from adapters.transport.sftp.sftp_login import logged_in, read_key
from adapters.transport.sftp.sftp_wire import Ended, ServerRefused, Wire
from gateway.config.connections import RemoteFolders
from gateway.model.faults import printable
from gateway.run.crash_points import crash_point

_PIECE: Final = 32 * 1024  # bytes; every server reads and writes so many at once
_EMPTY: Final = 1000  # an answer without entries counts as so many, so that a listing always ends
_AHEAD: Final = 32  # requests in progress


class SftpFiles:
    """Implements `folders.Files`. The connection is opened at the first use, and again at the next use after
    it broke.

    Each answer must come within `sftp_login.PATIENCE` seconds. Links on the server are the business of its
    owner: folders may be links, and `look` shows a link as an entry that is not plain.
    """

    def __init__(self, settings: RemoteFolders, key_file: Path) -> None:
        self._settings = settings
        self._key_file = key_file
        self._key: paramiko.PKey | None = None
        self._outdated = False
        self._socket: socket.socket | None = None
        self._transport: paramiko.Transport | None = None
        self._wire: Wire | None = None

    def renewal(self) -> Callable[[], None]:
        """See `named_files.Renewal`. If the key has changed, the next use opens a new connection with it;
        work in progress is finished on the old one. Raises `NotLetIn`."""
        key = read_key(self._key_file)

        def take() -> None:
            before, self._key = self._key, key
            if before is not None and before != key:
                self._outdated = True  # set last: another thread that sees it must find the new key

        return take

    def listing(self, folder: str, wanted: Callable[[FolderEntry], bool] = anything) -> list[FolderEntry]:
        entries: list[FolderEntry] = []
        looked_at = 0
        with self._using(folder) as wire:
            handle = wire.handle(wire.ask(Command.OPENDIR, self._path(folder)))
            try:
                with suppress(Ended):
                    while len(entries) < MOST and looked_at < FIRST:
                        names = wire.names(wire.ask(Command.READDIR, handle))
                        looked_at += len(names) or _EMPTY
                        entries += [each for each in names if each.name not in (".", "..") and wanted(each)]
            finally:
                wire.done(wire.ask(Command.CLOSE, handle))
        return entries[:MOST]

    def look(self, folder: str, name: str) -> FolderEntry | None:
        path = self._path(folder, checked(name))
        try:
            with self._using(name) as wire:
                return wire.attributes(wire.ask(Command.LSTAT, path), name)
        except FileNotFoundError:
            return None

    def read(self, folder: str, name: str) -> Generator[bytes, None, None]:
        path = self._path(folder, checked(name))
        with self._using(name) as wire:
            handle = wire.handle(wire.ask(Command.OPEN, path, Mode.READ, 0))
            under_way: deque[int] = deque()
            requested = at = 0
            try:
                with suppress(Ended):
                    while True:
                        while len(under_way) < _AHEAD:
                            under_way.append(wire.ask_at(Command.READ, handle, requested, _PIECE.to_bytes(4)))
                            requested += _PIECE
                        data = wire.data(under_way.popleft())
                        if not 0 < len(data) <= _PIECE:
                            raise BadPacket("another piece of a file than was asked for")
                        yield data
                        at += len(data)
                        if len(data) < _PIECE:  # the requests already sent are for wrong offsets
                            _forget(wire, under_way)
                            requested = at
            finally:
                _forget(wire, under_way)
                wire.done(wire.ask(Command.CLOSE, handle))

    @crash_point("write-a-remote-file")
    def write(self, folder: str, name: str, fill: Callable[[IO[bytes]], object]) -> None:
        flags = Mode.WRITE | Mode.CREATE | Mode.TRUNCATE
        path = self._path(folder, checked(name))
        with self._using(name) as wire:
            handle = wire.handle(wire.ask(Command.OPEN, path, flags, 0))
            file = _Writing(wire, handle)
            try:
                with io.BufferedWriter(file, _PIECE) as buffered:
                    fill(buffered)
                if FSYNC in wire.extensions:
                    wire.done(wire.ask(Command.EXTENDED, FSYNC, handle))
            finally:
                wire.done(wire.ask(Command.CLOSE, handle))

    @crash_point("move-a-remote-file")
    def move(self, folder: str, name: str, to_folder: str, to_name: str) -> None:
        """Without the extension for a replacing rename, a file with the new name is removed first."""
        old, new = self._path(folder, checked(name)), self._path(to_folder, checked(to_name))
        with self._using(name) as wire:
            if POSIX_RENAME in wire.extensions:
                wire.done(wire.ask(Command.EXTENDED, POSIX_RENAME, old, new))
                return
        if self.look(to_folder, to_name) is not None:
            self.remove(to_folder, to_name)
        with self._using(name) as wire:
            wire.done(wire.ask(Command.RENAME, old, new))

    def rename(self, folder: str, name: str, to_name: str) -> None:
        """Uses the plain request, which replaces nothing (draft-ietf-secsh-filexfer-02, 6.5)."""
        old, new = self._path(folder, checked(name)), self._path(folder, checked(to_name))
        with self._using(name) as wire:
            wire.done(wire.ask(Command.RENAME, old, new))

    def remove(self, folder: str, name: str) -> None:
        path = self._path(folder, checked(name))
        with self._using(name) as wire:
            wire.done(wire.ask(Command.REMOVE, path))

    def make(self, folder: str) -> None:
        above, _, name = folder.rpartition("/")
        if self.look(above, name) is None:
            with self._using(folder) as wire:
                wire.done(wire.ask(Command.MKDIR, self._path(folder), 0))

    def close(self) -> None:
        """May be called from another thread: an operation or log-in in progress then raises `Unreachable`."""
        dialled, transport = self._socket, self._transport
        self._socket = self._transport = self._wire = None
        if dialled is not None:
            with suppress(OSError):  # it may be closed already
                dialled.shutdown(socket.SHUT_RDWR)
        if transport is not None:
            transport.close()

    def _dialling(self, dialled: socket.socket) -> None:
        self._socket = dialled

    def _path(self, folder: str, name: str = "") -> bytes:
        return os.fsencode("/".join(filter(None, (self._settings.folder.rstrip("/"), folder, name))) or "/")

    @contextmanager
    def _using(self, what: str) -> Iterator[Wire]:
        """The connection, which is closed after an error that makes it unusable. Errors are translated to
        those of `folders` and name `what`."""
        try:
            yield self._connected()
        except ServerRefused as refusal:
            refusal.error.filename = what
            raise refusal.error from None
        except BadPacket as error:
            self.close()
            raise OSError(errno.EPROTO, str(error), what) from None
        except (EOFError, TimeoutError, ConnectionError, paramiko.SSHException) as error:
            self.close()
            if isinstance(error, Unreachable):
                raise
            raise Unreachable(printable(str(error) or "the connection broke", 200)) from None
        except OSError as error:
            if str(error) == "Socket is closed":  # paramiko raises it without an errno
                self.close()
                raise Unreachable("the connection broke") from None
            raise

    def _connected(self) -> Wire:
        if self._wire is None or self._wire.ended or self._outdated:
            self._outdated = False
            self.close()
            if self._key is None:
                self._key = read_key(self._key_file)
            self._transport, channel = logged_in(self._settings, self._key, self._dialling)
            self._wire = Wire(channel)
        return self._wire


class _Writing(io.RawIOBase):
    """Writes to a file that is open at the server. Requests are sent ahead, so a failure is raised by a later
    call, at the latest by `close`."""

    def __init__(self, wire: Wire, handle: bytes) -> None:
        self._wire = wire
        self._handle = handle
        self._at = self._end = 0
        self._under_way: deque[int] = deque()

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        # Waits for the earlier writes: a write over the same place must not overtake them.
        self._settle(0)
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence]
        return self._at

    def write(self, data: Any, /) -> int:
        piece = bytes(data[:_PIECE])
        self._settle(_AHEAD)
        self._under_way.append(self._wire.ask_at(Command.WRITE, self._handle, self._at, pack(piece)))
        self._at += len(piece)
        self._end = max(self._end, self._at)
        return len(piece)

    def close(self) -> None:
        if not self.closed:
            try:
                self._settle(0)
            finally:
                super().close()

    def _settle(self, most: int) -> None:
        while len(self._under_way) > most:
            self._wire.done(self._under_way.popleft())


def _forget(wire: Wire, under_way: deque[int]) -> None:
    while under_way:
        with suppress(Ended, ServerRefused):
            wire.data(under_way.popleft())

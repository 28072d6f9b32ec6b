"""One SFTP session: reads requests from its channel, lets the tree answer them, sends the answers."""

import itertools
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from paramiko import Channel, Transport
from paramiko.server import ServerInterface, SubsystemHandler

from adapters.channels.sftp_server import wire
from adapters.channels.sftp_server.handles import DownloadHandle, UploadHandle
from adapters.channels.sftp_server.services import cause, log
from adapters.channels.sftp_server.virtual_tree import Tree
from adapters.channels.sftp_server.wire import Request, RequestRefused
from adapters.transport.sftp import codec
from adapters.transport.sftp.codec import BadPacket, Command, Mode, Status

_RECEIVE: Final = 1024 * 1024
_MOST_HANDLES: Final = 256
# After this many bytes, answers are sent although more requests wait.
_ANSWERS: Final = 32 * 1024


class Session(SubsystemHandler):
    """paramiko runs it in a thread of its own. `ended` is called at its end, whatever the cause.

    paramiko's own SFTPServer is not used: it answers OK to a failed close unless that raises, sends sixteen
    names at a time, writes log lines for every request, and its buffer moves all waiting data for each packet
    taken out.
    """

    def __init__(
        self,
        channel: Channel,
        name: str,
        server: ServerInterface,
        tree: Tree,
        idle_seconds: float,
        ended: Callable[["Session"], None],
    ) -> None:
        super().__init__(channel, name, server)
        self._channel = channel
        self._tree = tree
        self._ended = ended
        self._files: dict[bytes, UploadHandle | DownloadHandle] = {}
        self._folders: dict[bytes, _Walk] = {}
        self._handles = itertools.count()
        self._inbound = bytearray()
        self._outbound = bytearray()
        self.closing = False  # set by the server: no further request is begun
        self.working = False  # requests are being answered
        channel.settimeout(idle_seconds)

    def start_subsystem(self, name: str, transport: Transport, channel: Channel) -> None:
        """Returns at the end of the channel; raises if the client violates the protocol or is idle."""
        try:
            first = self._packet()
            if first is None or first[0] != Command.INIT:
                return
            self._outbound += wire.version()
            while (packet := self._packet()) is not None:
                self._answer(packet)
                if self.closing:
                    self._flush()
                    return
            # scp treats a session that ends without a status as a failure.
            self._channel.send_exit_status(0)
        except (OSError, EOFError, BadPacket):
            return  # the client disconnected, was idle for too long, or sent something that is not SFTP

    def finish_subsystem(self) -> None:
        # Files still open were not closed by the client: they are incomplete and are never committed.
        try:
            for file in self._files.values():
                file.abort()
        finally:
            self._files.clear()
            self.working = False
            # First, since closing the channel raises if the connection breaks at the same time, and a session
            # that is never uncounted would keep its account from opening others.
            self._ended(self)
            super().finish_subsystem()

    def _packet(self) -> bytes | None:
        """The next request without its length, None at the end. Answers are sent before it waits for a
        request."""
        buffer = self._inbound
        while len(buffer) < 4 or len(buffer) < 4 + (size := int.from_bytes(buffer[:4])):
            self._flush()
            if len(buffer) >= 4 and size > wire.LONGEST_PACKET:
                return None
            self.working = False
            received = self._channel.recv(_RECEIVE)
            self.working = True
            # Read after `working` is set: the server sets `closing` and then reads `working`, so one of the
            # two sees the other, and no request is begun without the server waiting for it.
            if not received or self.closing:
                return None
            buffer += received
        packet = bytes(buffer[4 : 4 + size])
        del buffer[: 4 + size]
        if len(self._outbound) > _ANSWERS:
            self._flush()
        return packet

    def _flush(self) -> None:
        if self._outbound:
            self._channel.sendall(bytes(self._outbound))
            self._outbound.clear()

    def _answer(self, packet: bytes) -> None:
        if len(packet) < 5:
            raise BadPacket("no number")
        number = int.from_bytes(packet[1:5])
        verb = _VERBS.get(packet[0], Session._unsupported)
        try:
            # A write only adds to uncommitted data; there are thousands of writes for each commit.
            if packet[0] != Command.WRITE:
                self._tree.admit()
            self._outbound += verb(self, number, Request(packet, 5))
        except RequestRefused as refusal:
            self._outbound += wire.status(number, refusal.status, refusal.text)
        except BadPacket:
            self._outbound += wire.status(number, Status.BAD_MESSAGE, "The request is cut short")
        except OSError as error:
            log.error("storage failed", errno=error.errno, reason=error.strerror)
            self._outbound += wire.status(number, Status.FAILURE, cause(error))
        except Exception as error:
            # Our error: the session continues, and the client learns nothing about our internals. The trace
            # is formatted here, since a renderer of exceptions may show local variables, and these hold
            # payloads.
            trace = "".join(traceback.format_tb(error.__traceback__))
            log.error("request failed", command=packet[0], error=type(error).__name__, trace=trace)
            self._outbound += wire.status(number, Status.FAILURE, "The gateway failed; try again later")

    def _open(self, number: int, fields: Request) -> bytes:
        path = fields.text()
        mode = Mode(fields.number() & 0x3F)
        self._bound()
        name = b"%d" % next(self._handles)
        self._files[name] = self._tree.open(path, mode)
        return wire.handle(number, name)

    def _close(self, number: int, fields: Request) -> bytes:
        name = fields.string()
        if self._folders.pop(name, None) is None:
            # Removed from the table first: after a failed close the file is no longer open either.
            file = self._files.pop(name, None)
            if file is None:
                raise RequestRefused(Status.FAILURE, "No such handle")
            file.close()
        return wire.status(number, Status.OK, "")

    def _read(self, number: int, fields: Request) -> bytes:
        file = self._file(fields)
        content = file.read(fields.long(), min(fields.number(), wire.LONGEST_READ))
        if not content:
            return wire.status(number, Status.EOF, "End of file")
        return wire.data(number, content)

    def _write(self, number: int, fields: Request) -> bytes:
        file = self._file(fields)
        file.write(fields.long(), fields.string())
        return wire.status(number, Status.OK, "")

    def _fstat(self, number: int, fields: Request) -> bytes:
        return wire.attributes(number, self._file(fields).stat())

    def _fsetstat(self, number: int, fields: Request) -> bytes:
        file = self._file(fields)
        size = fields.size()
        if size is not None:
            file.truncate(size)
        return wire.status(number, Status.OK, "")

    def _stat(self, number: int, fields: Request) -> bytes:
        return wire.attributes(number, self._tree.stat(fields.text()))

    def _setstat(self, number: int, fields: Request) -> bytes:
        path = fields.text()
        self._tree.change(path, fields.size())
        return wire.status(number, Status.OK, "")

    def _opendir(self, number: int, fields: Request) -> bytes:
        self._bound()
        path = fields.text()
        self._tree.look_into(path)
        name = b"%d" % next(self._handles)
        self._folders[name] = _Walk(path)
        return wire.handle(number, name)

    def _readdir(self, number: int, fields: Request) -> bytes:
        walk = self._folders.get(fields.string())
        if walk is None:
            raise RequestRefused(Status.FAILURE, "No such handle")
        with self._tree.turn():
            some = [] if walk.over else self._tree.page(walk.path, walk.after)
            if not some:
                walk.over = True
                return wire.status(number, Status.EOF, "End of listing")
            walk.after = some[-1][0]
            return wire.names(number, some, self._tree.now())

    def _remove(self, number: int, fields: Request) -> bytes:
        self._tree.remove(fields.text())
        return wire.status(number, Status.OK, "")

    def _rename(self, number: int, fields: Request) -> bytes:
        old, new = fields.text(), fields.text()
        self._tree.rename(old, new, replace=False)
        return wire.status(number, Status.OK, "")

    def _realpath(self, number: int, fields: Request) -> bytes:
        return wire.real_path(number, self._tree.canonical(fields.text()))

    def _extended(self, number: int, fields: Request) -> bytes:
        match fields.string():
            case codec.POSIX_RENAME:
                old, new = fields.text(), fields.text()
                self._tree.rename(old, new, replace=True)
                return wire.status(number, Status.OK, "")
            case codec.STATVFS:
                self._tree.stat(fields.text())
                return wire.space(number, self._tree.space())
            case codec.FSTATVFS:
                self._file(fields)
                return wire.space(number, self._tree.space())
        return self._unsupported(number, fields)

    def _mkdir(self, number: int, fields: Request) -> bytes:
        raise self._tree.refuse_making(fields.text())

    def _rmdir(self, number: int, fields: Request) -> bytes:
        raise self._tree.refuse_removing(fields.text())

    def _symlink(self, number: int, fields: Request) -> bytes:
        _points_to, link = fields.text(), fields.text()  # in OpenSSH's order, which differs from the draft
        raise self._tree.refuse_making(link)

    def _readlink(self, number: int, fields: Request) -> bytes:
        self._tree.stat(fields.text())
        raise RequestRefused(Status.FAILURE, "Not a link")

    def _unsupported(self, number: int, fields: Request) -> bytes:
        return wire.status(number, Status.OP_UNSUPPORTED, "Not supported")

    def _file(self, fields: Request) -> UploadHandle | DownloadHandle:
        file = self._files.get(fields.string())
        if file is None:
            raise RequestRefused(Status.FAILURE, "No such handle")
        return file

    def _bound(self) -> None:
        if len(self._files) + len(self._folders) >= _MOST_HANDLES:
            raise RequestRefused(Status.FAILURE, f"Too many open files ({_MOST_HANDLES})")


@dataclass(slots=True)
class _Walk:
    """How far a client has read a folder."""

    path: str
    after: str = ""
    over: bool = False


_VERBS: Final[dict[int, Callable[[Session, int, Request], bytes]]] = {
    Command.OPEN: Session._open,
    Command.CLOSE: Session._close,
    Command.READ: Session._read,
    Command.WRITE: Session._write,
    Command.LSTAT: Session._stat,
    Command.STAT: Session._stat,
    Command.FSTAT: Session._fstat,
    Command.SETSTAT: Session._setstat,
    Command.FSETSTAT: Session._fsetstat,
    Command.OPENDIR: Session._opendir,
    Command.READDIR: Session._readdir,
    Command.REMOVE: Session._remove,
    Command.RENAME: Session._rename,
    Command.REALPATH: Session._realpath,
    Command.EXTENDED: Session._extended,
    Command.MKDIR: Session._mkdir,
    Command.RMDIR: Session._rmdir,
    Command.SYMLINK: Session._symlink,
    Command.READLINK: Session._readlink,
}

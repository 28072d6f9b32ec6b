"""SFTP version 3 (draft-ietf-secsh-filexfer-02), the client's side: many requests at once on one channel.

paramiko's own client drops what fails of writes that are under way, gives up a whole folder for one name that
is no UTF-8, and forgets which extensions the server has; this one is used with its connections.
"""

import errno
import os
import stat
from typing import Final

import paramiko
from paramiko.sftp import (
    CMD_ATTRS,
    CMD_DATA,
    CMD_HANDLE,
    CMD_INIT,
    CMD_NAME,
    CMD_STATUS,
    CMD_VERSION,
    SFTP_EOF,
    SFTP_NO_SUCH_FILE,
    SFTP_OK,
    SFTP_PERMISSION_DENIED,
)

from adapters.transport.files.folders import FolderEntry
from gateway.model.faults import printable

_VERSION: Final = 3
_LONGEST: Final = 1024 * 1024  # bytes of an answer; OpenSSH's have 256 KB at most
_SIZE, _OWNER, _PERMISSIONS, _TIMES, _EXTENDED = 1, 2, 4, 8, 1 << 31


class BadAnswer(Exception):
    """The server does not speak SFTP 3 as we know it."""


class Ended(Exception):
    """There is no more of the file or folder."""


class Refused(Exception):
    """The server did not do it; `error` says why, in the words of this machine where they are known."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class Fields:
    """What an answer holds, read in order. Raises `BadAnswer` where it ends too early."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self) -> int:
        return int.from_bytes(self._take(4))

    def long(self) -> int:
        return int.from_bytes(self._take(8))

    def string(self) -> bytes:
        return self._take(self.number())

    def more(self) -> bool:
        return self._at < len(self._data)

    def found(self, name: str) -> FolderEntry:
        """The attributes that come next, as those of `name`; without a size or time they are none of a file
        that we would take."""
        flags = self.number()
        size = self.long() if flags & _SIZE else 0
        if flags & _OWNER:
            self._take(8)
        mode = self.number() if flags & _PERMISSIONS else 0
        changed = 0
        if flags & _TIMES:
            self._take(4)
            changed = self.number() * 1_000_000_000
        if flags & _EXTENDED:
            for _ in range(self.number()):
                self.string(), self.string()
        plain = flags & _SIZE > 0 and flags & _TIMES > 0 and stat.S_ISREG(mode)
        return FolderEntry(name, size, changed, f"{size}-{changed}", plain)

    def _take(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._data):
            raise BadAnswer("an answer is cut short")
        taken = self._data[self._at : end]
        self._at = end
        return taken


class Wire:
    """`extensions` are those that the server offers, by name. Raises `OSError` of the channel, `BadAnswer`,
    and for what the server refuses what `answer` says."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self._number = 0
        self._asked: set[int] = set()
        self._early: dict[int, tuple[int, bytes]] = {}
        self._send(CMD_INIT, _VERSION.to_bytes(4))
        kind, body = self._packet()
        offered = Fields(body)
        if kind != CMD_VERSION or offered.number() < _VERSION:
            raise BadAnswer("no SFTP 3")
        self.extensions: set[str] = set()
        while offered.more():
            self.extensions.add(offered.string().decode("ascii", "replace"))
            offered.string()

    @property
    def ended(self) -> bool:
        return self._channel.closed

    def ask(self, kind: int, *fields: bytes | int) -> int:
        """Sends a request and returns its number; bytes go as strings, numbers in 4 bytes."""
        packed = (each.to_bytes(4) if isinstance(each, int) else string(each) for each in fields)
        return self._request(kind, b"".join(packed))

    def ask_at(self, kind: int, handle: bytes, offset: int, rest: bytes) -> int:
        """As `ask`, for what is about a place in a file."""
        return self._request(kind, string(handle) + offset.to_bytes(8) + rest)

    def answer(self, number: int) -> tuple[int, Fields]:
        """The answer to a request. A status other than OK is `Ended` or `Refused`."""
        while number not in self._early:
            kind, body = self._packet()
            answered = Fields(body).number()
            if answered not in self._asked:  # or they would fill the memory
                raise BadAnswer("an answer to nothing that was asked")
            self._asked.remove(answered)
            self._early[answered] = (kind, body)
        kind, body = self._early.pop(number)
        fields = Fields(body)
        fields.number()
        if kind == CMD_STATUS:
            _raise_for(fields)
        return kind, fields

    def done(self, number: int) -> None:
        self._expect(number, CMD_STATUS)

    def handle(self, number: int) -> bytes:
        return self._expect(number, CMD_HANDLE).string()

    def data(self, number: int) -> bytes:
        return self._expect(number, CMD_DATA).string()

    def attributes(self, number: int, name: str) -> FolderEntry:
        return self._expect(number, CMD_ATTRS).found(name)

    def names(self, number: int) -> list[FolderEntry]:
        fields = self._expect(number, CMD_NAME)
        found = []
        for _ in range(fields.number()):
            name = os.fsdecode(fields.string())
            fields.string()
            found.append(fields.found(name))
        return found

    def _expect(self, number: int, wanted: int) -> Fields:
        kind, fields = self.answer(number)
        if kind != wanted:
            raise BadAnswer("an answer of another kind")
        return fields

    def _request(self, kind: int, body: bytes) -> int:
        self._number = (self._number + 1) & 0xFFFFFFFF
        self._asked.add(self._number)
        self._send(kind, self._number.to_bytes(4) + body)
        return self._number

    def _send(self, kind: int, body: bytes) -> None:
        self._channel.sendall((len(body) + 1).to_bytes(4) + bytes([kind]) + body)

    def _packet(self) -> tuple[int, bytes]:
        length = int.from_bytes(self._read(4))
        if not 1 <= length <= _LONGEST:
            raise BadAnswer("an answer of an impossible length")
        packet = self._read(length)
        return packet[0], packet[1:]

    def _read(self, length: int) -> bytes:
        pieces = []
        while length:
            piece = self._channel.recv(length)
            if not piece:
                raise ConnectionResetError("the server has ended the session")
            pieces.append(piece)
            length -= len(piece)
        return b"".join(pieces)


def string(value: bytes) -> bytes:
    return len(value).to_bytes(4) + value


def _raise_for(fields: Fields) -> None:
    code = fields.number()
    said = printable(fields.string().decode("utf-8", "replace"), 200) if fields.more() else ""
    if code == SFTP_OK:
        return
    if code == SFTP_EOF:
        raise Ended
    if code == SFTP_NO_SUCH_FILE:
        raise Refused(FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
    if code == SFTP_PERMISSION_DENIED:
        raise Refused(PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    raise Refused(OSError(errno.EIO, said or f"status {code}"))

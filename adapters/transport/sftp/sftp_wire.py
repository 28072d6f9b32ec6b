"""The client's side of SFTP: many requests at once on one channel.

paramiko's own client drops what fails of writes that are under way, gives up a whole folder for one name that
is no UTF-8, and forgets which extensions the server has; this one is used with its connections.
"""

import errno
import os
import stat
from typing import Final

import paramiko

from adapters.transport.files.folders import FolderEntry
from adapters.transport.sftp.codec import (
    VERSION,
    Attributes,
    BadPacket,
    Command,
    Fields,
    Status,
    pack,
    packet,
)
from gateway.model.faults import printable

_LONGEST: Final = 1024 * 1024  # bytes of an answer; OpenSSH's have 256 KB at most


class Ended(Exception):
    """There is no more of the file or folder."""


class ServerRefused(Exception):
    """The server did not do it; `error` says why, in the words of this machine where they are known."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class Wire:
    """`extensions` are those that the server offers, by name. Raises `OSError` of the channel, `BadPacket`,
    and for what the server refuses what `answer` says."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self._number = 0
        self._asked: set[int] = set()
        self._early: dict[int, tuple[int, bytes]] = {}
        self._channel.sendall(packet(Command.INIT, pack(VERSION)))
        kind, body = self._packet()
        offered = Fields(body)
        if kind != Command.VERSION or offered.number() < VERSION:
            raise BadPacket("no SFTP 3")
        self.extensions: set[bytes] = set()
        while offered.more():
            self.extensions.add(offered.string())
            offered.string()

    @property
    def ended(self) -> bool:
        return self._channel.closed

    def ask(self, kind: int, *fields: bytes | int) -> int:
        """Sends a request and returns its number."""
        return self._request(kind, pack(*fields))

    def ask_at(self, kind: int, handle: bytes, offset: int, rest: bytes) -> int:
        """As `ask`, for what is about a place in a file."""
        return self._request(kind, pack(handle), offset.to_bytes(8), rest)

    def answer(self, number: int) -> tuple[int, Fields]:
        """The answer to a request. A status other than OK is `Ended` or `ServerRefused`."""
        while number not in self._early:
            kind, body = self._packet()
            answered = Fields(body).number()
            if answered not in self._asked:  # or they would fill the memory
                raise BadPacket("an answer to nothing that was asked")
            self._asked.remove(answered)
            self._early[answered] = (kind, body)
        kind, body = self._early.pop(number)
        fields = Fields(body)
        fields.number()
        if kind == Command.STATUS:
            _raise_for(fields)
        return kind, fields

    def done(self, number: int) -> None:
        self._expect(number, Command.STATUS)

    def handle(self, number: int) -> bytes:
        return self._expect(number, Command.HANDLE).string()

    def data(self, number: int) -> bytes:
        return self._expect(number, Command.DATA).string()

    def attributes(self, number: int, name: str) -> FolderEntry:
        return _entry(name, self._expect(number, Command.ATTRS).attributes())

    def names(self, number: int) -> list[FolderEntry]:
        fields = self._expect(number, Command.NAME)
        entries = []
        for _ in range(fields.number()):
            name = os.fsdecode(fields.string())
            fields.string()
            entries.append(_entry(name, fields.attributes()))
        return entries

    def _expect(self, number: int, expected: int) -> Fields:
        kind, fields = self.answer(number)
        if kind != expected:
            raise BadPacket("an answer of another kind")
        return fields

    def _request(self, kind: int, *parts: bytes) -> int:
        self._number = (self._number + 1) & 0xFFFFFFFF
        self._asked.add(self._number)
        self._channel.sendall(packet(kind, pack(self._number), *parts))
        return self._number

    def _packet(self) -> tuple[int, bytes]:
        length = int.from_bytes(self._read(4))
        if not 1 <= length <= _LONGEST:
            raise BadPacket("an answer of an impossible length")
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


def _entry(name: str, values: Attributes) -> FolderEntry:
    """Without a size or a time it is no file that we would take."""
    size, changed = values.size or 0, (values.changed or 0) * 1_000_000_000
    plain = values.size is not None and values.changed is not None and stat.S_ISREG(values.mode or 0)
    return FolderEntry(name, size, changed, f"{size}-{changed}", plain)


def _raise_for(fields: Fields) -> None:
    code = fields.number()
    text = printable(fields.string().decode("utf-8", "replace"), 200) if fields.more() else ""
    if code == Status.OK:
        return
    if code == Status.EOF:
        raise Ended
    if code == Status.NO_SUCH_FILE:
        raise ServerRefused(FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
    if code == Status.PERMISSION_DENIED:
        raise ServerRefused(PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    raise ServerRefused(OSError(errno.EIO, text or f"status {code}"))

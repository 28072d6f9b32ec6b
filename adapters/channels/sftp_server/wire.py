"""SFTP version 3 (draft-ietf-secsh-filexfer-02), the server's side: packets in, packets out, no decisions."""

import stat
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, IntFlag
from typing import Final

from gateway.model.china import CHINA

VERSION: Final = 3
# OpenSSH sends and accepts 256 KB at most (sftp-common.h, SFTP_MAX_MSG_LENGTH).
LONGEST_PACKET: Final = 256 * 1024
LONGEST_READ: Final = 32 * 1024
# A name takes at most 255 bytes twice and 90 for attributes, so this many fit into one packet.
NAMES_IN_A_PACKET: Final = 200
LONGEST_NAME: Final = 255
POSIX_RENAME: Final = b"posix-rename@openssh.com"
STATVFS: Final = b"statvfs@openssh.com"
FSTATVFS: Final = b"fstatvfs@openssh.com"
_BLOCK: Final = 4096
_NO_SETUID: Final = 2
# Older and future times are shown with the year instead of the time of day, as by ls.
_RECENT: Final = timedelta(days=182)


class Command(IntEnum):
    INIT = 1
    VERSION = 2
    OPEN = 3
    CLOSE = 4
    READ = 5
    WRITE = 6
    LSTAT = 7
    FSTAT = 8
    SETSTAT = 9
    FSETSTAT = 10
    OPENDIR = 11
    READDIR = 12
    REMOVE = 13
    MKDIR = 14
    RMDIR = 15
    REALPATH = 16
    STAT = 17
    RENAME = 18
    READLINK = 19
    SYMLINK = 20
    STATUS = 101
    HANDLE = 102
    DATA = 103
    NAME = 104
    ATTRS = 105
    EXTENDED = 200
    EXTENDED_REPLY = 201


class Status(IntEnum):
    OK = 0
    EOF = 1
    NO_SUCH_FILE = 2
    PERMISSION_DENIED = 3
    FAILURE = 4
    BAD_MESSAGE = 5
    OP_UNSUPPORTED = 8


class Mode(IntFlag):
    """How a file is opened (section 6.3)."""

    READ = 0x01
    WRITE = 0x02
    APPEND = 0x04
    CREATE = 0x08
    TRUNCATE = 0x10
    EXCLUSIVE = 0x20


class Refused(Exception):
    """A request that is answered by a status other than OK; the text is for the client's user."""

    def __init__(self, status: Status, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def no_such_file() -> Refused:
    return Refused(Status.NO_SUCH_FILE, "No such file")


def denied(text: str = "Permission denied") -> Refused:
    return Refused(Status.PERMISSION_DENIED, text)


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a listing shows of a file: permissions with the type bits, size in bytes, time of last change."""

    mode: int
    size: int
    at: datetime

    def pack(self) -> bytes:
        seconds = int(self.at.timestamp())
        return struct.pack(">IQIII", 0x0D, self.size, self.mode, seconds, seconds)

    def line(self, name: str, now: datetime) -> str:
        """The line that `ls -l` would show at this time, in China's zone; OpenSSH prints it unchanged."""
        at = self.at.astimezone(CHINA)
        recent = abs(now - self.at) < _RECENT
        day = at.strftime("%b %d %H:%M" if recent else "%b %d  %Y")
        return f"{stat.filemode(self.mode)}    1 gateway  gateway  {self.size:>12d} {day} {name}"


@dataclass(frozen=True, slots=True)
class Space:
    """Space for uploads, in bytes and files: in total, and still free."""

    most: int
    free: int
    files: int
    free_files: int


class Fields:
    """The fields of one request, read in order; raises `Refused` if it ends too early or is not UTF-8."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes, start: int) -> None:
        self._data = data
        self._at = start

    def number(self) -> int:
        return int.from_bytes(self._take(4))

    def long(self) -> int:
        return int.from_bytes(self._take(8))

    def string(self) -> bytes:
        return self._take(self.number())

    def text(self) -> str:
        try:
            return self.string().decode()
        except UnicodeDecodeError:
            raise Refused(Status.FAILURE, "File names must be UTF-8") from None

    def new_size(self) -> int | None:
        """The size among the attributes that follow, if present; the other attributes are ignored."""
        return self.long() if self.number() & 0x01 else None

    def _take(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._data):
            raise Refused(Status.BAD_MESSAGE, "The request is cut short")
        taken = self._data[self._at : end]
        self._at = end
        return taken


def _string(value: bytes) -> bytes:
    return len(value).to_bytes(4) + value


def _packet(kind: Command, number: int, body: bytes) -> bytes:
    return struct.pack(">IBI", len(body) + 5, kind, number) + body


def version() -> bytes:
    # OpenSSH's sftp renames with the first one if it is offered, and uses the others for `df` (PROTOCOL,
    # 4.3f).
    offered = ((POSIX_RENAME, b"1"), (STATVFS, b"2"), (FSTATVFS, b"2"))
    body = VERSION.to_bytes(4) + b"".join(_string(name) + _string(of) for name, of in offered)
    return struct.pack(">IB", len(body) + 1, Command.VERSION) + body


def status(number: int, status: Status, text: str) -> bytes:
    return _packet(Command.STATUS, number, status.to_bytes(4) + _string(text.encode()) + _string(b"en"))


def handle(number: int, name: bytes) -> bytes:
    return _packet(Command.HANDLE, number, _string(name))


def data(number: int, content: bytes) -> bytes:
    return _packet(Command.DATA, number, _string(content))


def attributes(number: int, found: Attributes) -> bytes:
    return _packet(Command.ATTRS, number, found.pack())


def names(number: int, entries: Sequence[tuple[str, Attributes]], now: datetime) -> bytes:
    parts = [len(entries).to_bytes(4)]
    for name, found in entries:
        parts += (_string(name.encode()), _string(found.line(name, now).encode()), found.pack())
    return _packet(Command.NAME, number, b"".join(parts))


def space(number: int, found: Space) -> bytes:
    """OpenSSH PROTOCOL, 4.4: sizes are in blocks."""
    blocks, free = found.most // _BLOCK, found.free // _BLOCK
    body = struct.pack(
        ">11Q",
        *(_BLOCK, _BLOCK, blocks, free, free),
        *(found.files, found.free_files, found.free_files),
        *(0, _NO_SETUID, LONGEST_NAME),
    )
    return _packet(Command.EXTENDED_REPLY, number, body)


def real_path(number: int, path: str) -> bytes:
    text = _string(path.encode())
    return _packet(Command.NAME, number, (1).to_bytes(4) + text + text + bytes(4))

"""SFTP version 3 (draft-ietf-secsh-filexfer-02) as bytes: what our server and our client read and write."""

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final

VERSION: Final = 3
# OpenSSH PROTOCOL, 4.3 (a rename that replaces, in one step), 4.4 and 4.6.
POSIX_RENAME: Final = b"posix-rename@openssh.com"
STATVFS: Final = b"statvfs@openssh.com"
FSTATVFS: Final = b"fstatvfs@openssh.com"
FSYNC: Final = b"fsync@openssh.com"


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


class Present(IntFlag):
    """Which attributes of a file follow (section 5)."""

    SIZE = 1
    OWNER = 2
    PERMISSIONS = 4
    TIMES = 8
    EXTENDED = 1 << 31


class BadPacket(Exception):
    """The other side does not speak SFTP 3 as we know it."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """Attributes of a file, None where the other side does not state them: size in bytes, permissions with
    the type bits, time of last change in seconds since 1970."""

    size: int | None
    mode: int | None
    changed: int | None


class Fields:
    """The fields of one packet, read in order; raises `BadPacket` if it ends too early."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes, start: int = 0) -> None:
        self._data = data
        self._at = start

    def number(self) -> int:
        return int.from_bytes(self._take(4))

    def long(self) -> int:
        return int.from_bytes(self._take(8))

    def string(self) -> bytes:
        return self._take(self.number())

    def more(self) -> bool:
        return self._at < len(self._data)

    def size(self) -> int | None:
        """The size among the attributes that come next, if present; the others are not read."""
        return self.long() if self.number() & Present.SIZE else None

    def attributes(self) -> Attributes:
        present = self.number()
        size = self.long() if present & Present.SIZE else None
        if present & Present.OWNER:
            self._take(8)
        mode = self.number() if present & Present.PERMISSIONS else None
        changed = None
        if present & Present.TIMES:
            self._take(4)
            changed = self.number()
        if present & Present.EXTENDED:
            for _ in range(self.number()):
                self.string(), self.string()
        return Attributes(size, mode, changed)

    def _take(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._data):
            raise BadPacket("a packet is cut short")
        piece = self._data[self._at : end]
        self._at = end
        return piece


def pack(*fields: bytes | int) -> bytes:
    """Bytes as strings, numbers in 4 bytes."""
    return b"".join(
        field.to_bytes(4) if isinstance(field, int) else len(field).to_bytes(4) + field for field in fields
    )


def pack_attributes(size: int, mode: int, changed: int) -> bytes:
    present = Present.SIZE | Present.PERMISSIONS | Present.TIMES
    return present.to_bytes(4) + size.to_bytes(8) + pack(mode, changed, changed)


def packet(kind: int, *parts: bytes) -> bytes:
    length = 1 + sum(map(len, parts))
    return b"".join((length.to_bytes(4), kind.to_bytes(1), *parts))

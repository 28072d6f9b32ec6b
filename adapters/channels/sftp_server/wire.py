"""The server's side of SFTP: requests in, answers out, no decisions."""

import stat
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from adapters.transport.sftp.codec import (
    FSTATVFS,
    POSIX_RENAME,
    STATVFS,
    VERSION,
    Command,
    Fields,
    Status,
    pack,
    pack_attributes,
    packet,
)
from gateway.model.china import CHINA

# OpenSSH sends and accepts 256 KB at most (sftp-common.h, SFTP_MAX_MSG_LENGTH).
LONGEST_PACKET: Final = 256 * 1024
LONGEST_READ: Final = 32 * 1024
# A name takes at most 255 bytes twice and 90 for attributes, so this many fit into one packet.
NAMES_IN_A_PACKET: Final = 200
LONGEST_NAME: Final = 255
_BLOCK: Final = 4096
_NO_SETUID: Final = 2
# Older and future times are shown with the year instead of the time of day, as by ls.
_RECENT: Final = timedelta(days=182)


class RequestRefused(Exception):
    """A request that is answered by a status other than OK; the text is for the client's user."""

    def __init__(self, status: Status, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def no_such_file() -> RequestRefused:
    return RequestRefused(Status.NO_SUCH_FILE, "No such file")


def denied(text: str = "Permission denied") -> RequestRefused:
    return RequestRefused(Status.PERMISSION_DENIED, text)


@dataclass(frozen=True, slots=True)
class FileAttributes:
    """What a listing shows of a file: permissions with the type bits, size in bytes, time of last change."""

    mode: int
    size: int
    at: datetime

    def pack(self) -> bytes:
        return pack_attributes(self.size, self.mode, int(self.at.timestamp()))

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


class Request(Fields):
    """The fields of one request."""

    __slots__ = ()

    def text(self) -> str:
        try:
            return self.string().decode()
        except UnicodeDecodeError:
            raise RequestRefused(Status.FAILURE, "File names must be UTF-8") from None


def version() -> bytes:
    # OpenSSH's sftp renames with the first one if it is offered, and uses the others for `df`.
    offered = pack(POSIX_RENAME, b"1", STATVFS, b"2", FSTATVFS, b"2")
    return packet(Command.VERSION, pack(VERSION), offered)


def status(number: int, status: Status, text: str) -> bytes:
    return packet(Command.STATUS, pack(number, status, text.encode(), b"en"))


def handle(number: int, name: bytes) -> bytes:
    return packet(Command.HANDLE, pack(number, name))


def data(number: int, content: bytes) -> bytes:
    return packet(Command.DATA, pack(number, content))


def attributes(number: int, values: FileAttributes) -> bytes:
    return packet(Command.ATTRS, pack(number), values.pack())


def names(number: int, entries: Sequence[tuple[str, FileAttributes]], now: datetime) -> bytes:
    parts = [pack(number, len(entries))]
    for name, values in entries:
        parts += (pack(name.encode(), values.line(name, now).encode()), values.pack())
    return packet(Command.NAME, *parts)


def space(number: int, room: Space) -> bytes:
    """OpenSSH PROTOCOL, 4.4: sizes are in blocks."""
    blocks, free = room.most // _BLOCK, room.free // _BLOCK
    body = struct.pack(
        ">11Q",
        *(_BLOCK, _BLOCK, blocks, free, free),
        *(room.files, room.free_files, room.free_files),
        *(0, _NO_SETUID, LONGEST_NAME),
    )
    return packet(Command.EXTENDED_REPLY, pack(number), body)


def real_path(number: int, path: str) -> bytes:
    text = path.encode()
    no_attributes = 0
    return packet(Command.NAME, pack(number, 1, text, text, no_attributes))

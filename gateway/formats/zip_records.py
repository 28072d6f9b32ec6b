"""Reads the records of a zip file, and checks that every byte belongs to exactly one of them.

The format is PKWARE's APPNOTE 6.3.10; section numbers below refer to it. Where an archive states something
twice, or has bytes that belong to no record, readers differ, and two of them can be shown different contents.
So entries must lie end to end from the first byte of the file to the directory, the directory must end where
the end records begin, and the end records at the end of the file; a local header must agree with the
directory. Overlapping entries (D. Fifield, "A better zip bomb", 2019), prefixes, gaps and appended archives
all break this rule.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import IO, Final

from gateway.model.faults import Fault, MessageRejected, finding

HAS_DESCRIPTOR: Final = 1 << 3
UTF8: Final = 1 << 11
PATCH: Final = 1 << 5
ENCRYPTED: Final = 1 << 0 | 1 << 6 | 1 << 13
STORED: Final = 0

_COMPARED_FLAGS: Final = ENCRYPTED | HAS_DESCRIPTOR | UTF8
_EXTRA_ZIP64: Final = 0x0001
_END: Final = Struct("<4s4H2IH")
_LOCATOR: Final = Struct("<4sIQI")
_END64: Final = Struct("<4sQ2H2I4Q")
_CENTRAL: Final = Struct("<4s6H3I5H2I")
_LOCAL: Final = Struct("<4s5H3I2H")
_EXTRA: Final = Struct("<2H")
_NUMBER: Final = Struct("<Q")
_DESCRIPTORS: Final = (Struct("<3I"), Struct("<I2Q"))
_MAX16: Final = 0xFFFF
_MAX32: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipRecord:
    """An entry of the directory: `packed` and unpacked `size` in bytes, `offset` of the local header, `mode`
    as in a Unix `st_mode` (0 where absent), `extras` by their identifiers."""

    name: bytes
    version_needed: int
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    mode: int
    dos_attributes: int
    extras: dict[int, bytes]


@dataclass(frozen=True, slots=True)
class Directory:
    """The offsets between which the directory lies, and the number of entries that the end record states."""

    start: int
    stop: int
    entries: int


def broken(en: str, zh: str, file: str | None = None) -> MessageRejected:
    return MessageRejected(finding(Fault.ZIP_BROKEN, detail=en, detail_zh=zh, file=file))


def shown(name: bytes) -> str:
    """A raw name for people: as UTF-8, else as GBK with other bytes escaped."""
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("gbk", "backslashreplace")


def read_at(stream: IO[bytes], offset: int, length: int) -> bytes:
    """Exactly `length` bytes. Raises `MessageRejected` where the file ends before, since a record says that
    they are there."""
    stream.seek(offset)
    data = stream.read(length)
    while len(data) < length and (more := stream.read(length - len(data))):
        data += more
    if len(data) < length:
        raise broken("cut short", "文件不完整")
    return data


def find_directory(stream: IO[bytes]) -> Directory:
    """Finds the only end record whose comment ends with the file (4.3.16), and follows a zip64 locator before
    it.

    Zeros may follow the record: writers that fill blocks of 10 KB, such as bsdtar into a pipe, leave them.
    """
    length = stream.seek(0, 2)
    start = max(0, length - _END.size - _MAX16)
    tail = read_at(stream, start, length - start)
    at = tail.find(b"PK\x05\x06")
    while 0 <= at <= len(tail) - _END.size and not _ends(tail, at):
        at = tail.find(b"PK\x05\x06", at + 1)
    if not 0 <= at <= len(tail) - _END.size:
        raise broken("no end record at its end", "末尾没有结束记录")
    if b"PK\x05\x06" in tail[at + 4 :]:
        # A reader that searches backwards would find the archive inside the comment.
        raise MessageRejected(finding(Fault.ZIP_HIDDEN))
    _, disk, disk_of_directory, here, entries, size, first, _ = _END.unpack_from(tail, at)
    if disk or disk_of_directory or here != entries:
        raise broken("several volumes", "分卷压缩")
    stop = start + at
    if stop >= _LOCATOR.size:
        locator = read_at(stream, stop - _LOCATOR.size, _LOCATOR.size)
        if locator.startswith(b"PK\x06\x07"):
            return _zip64_directory(stream, stop - _LOCATOR.size, locator, (entries, size, first))
    return _directory(first, size, stop, entries)


def _ends(tail: bytes, at: int) -> bool:
    comment: int = _END.unpack_from(tail, at)[-1]
    end = at + _END.size + comment
    return end <= len(tail) and not tail[end:].strip(b"\0")


def _zip64_directory(
    stream: IO[bytes], before: int, locator: bytes, short: tuple[int, int, int]
) -> Directory:
    # 4.3.14 and 4.3.15; each short value is either the same or the marker for a value that does not fit.
    _, disk, position, disks = _LOCATOR.unpack(locator)
    if disk or disks > 1 or position + _END64.size > before:
        raise broken("wrong zip64 end record", "zip64 结束记录错误")
    end_record = _END64.unpack(read_at(stream, position, _END64.size))
    signature, rest, _, _, disk, disk_of_directory, here, entries, size, first = end_record
    same = all(
        short_value in (true, marker)
        for short_value, true, marker in zip(
            short, (entries, size, first), (_MAX16, _MAX32, _MAX32), strict=True
        )
    )
    if signature != b"PK\x06\x06" or position + 12 + rest != before or not same:
        raise broken("wrong zip64 end record", "zip64 结束记录错误")
    if disk or disk_of_directory or here != entries:
        raise broken("several volumes", "分卷压缩")
    return _directory(first, size, position, entries)


def _directory(first: int, size: int, stop: int, entries: int) -> Directory:
    if first + size > stop:
        raise broken("the directory does not end where it should", "目录位置错误")
    if first + size < stop:
        raise MessageRejected(finding(Fault.ZIP_HIDDEN))
    return Directory(first, stop, entries)


def records(stream: IO[bytes], directory: Directory) -> Iterator[ZipRecord]:
    """The directory's entries (4.3.12) in order. Raises `MessageRejected` unless there are as many as the end
    record states, with nothing after them."""
    at = directory.start
    for _ in range(directory.entries):
        if at + _CENTRAL.size > directory.stop:
            raise broken("the directory has fewer entries than it says", "目录中的文件数不符")
        fields = _CENTRAL.unpack(read_at(stream, at, _CENTRAL.size))
        signature, _, needed, flags, method, _, _, crc, packed, size = fields[:10]
        named, extra, comment, disk, _, attributes, offset = fields[10:]
        at += _CENTRAL.size
        if signature != b"PK\x01\x02" or at + named + extra + comment > directory.stop:
            raise broken("wrong directory entry", "目录记录错误")
        name = read_at(stream, at, named)
        extras = _extras(read_at(stream, at + named, extra), name)
        at += named + extra + comment
        size, packed, offset, disk = _widen(
            (size, packed, offset, disk), (_MAX32, _MAX32, _MAX32, _MAX16), extras, name
        )
        if disk:
            raise broken("several volumes", "分卷压缩", shown(name))
        yield ZipRecord(
            name=name,
            version_needed=needed & 0xFF,  # the other byte is reserved
            flags=flags,
            method=method,
            crc=crc,
            packed=packed,
            size=size,
            offset=offset,
            mode=attributes >> 16,
            dos_attributes=attributes & 0xFF,
            extras=extras,
        )
    if at != directory.stop:
        raise broken("the directory has more entries than it says", "目录中的文件数不符")


def _extras(data: bytes, name: bytes) -> dict[int, bytes]:
    extras: dict[int, bytes] = {}
    at = 0
    while len(data) - at >= _EXTRA.size:
        identifier, length = _EXTRA.unpack_from(data, at)
        at += _EXTRA.size
        if at + length > len(data) or (identifier and identifier in extras):
            raise broken("wrong extra field", "扩展字段错误", shown(name))
        extras[identifier] = data[at : at + length]
        at += length
    if any(data[at:]):  # tools that align data leave zeros
        raise broken("wrong extra field", "扩展字段错误", shown(name))
    return extras


def _widen(
    values: tuple[int, ...], markers: tuple[int, ...], extras: dict[int, bytes], name: bytes
) -> tuple[int, ...]:
    """The values, with markers replaced by the values of the zip64 field, in the order of 4.5.3."""
    wide = extras.get(_EXTRA_ZIP64, b"")
    at = 0
    widened = []
    for value, marker in zip(values, markers, strict=True):
        length = 8 if marker == _MAX32 else 4
        if value == marker and _EXTRA_ZIP64 in extras:
            if at + length > len(wide):
                raise broken("wrong zip64 field", "zip64 字段错误", shown(name))
            widened.append(int.from_bytes(wide[at : at + length], "little"))
            at += length
        else:
            widened.append(value)
    return tuple(widened)


def data_starts(stream: IO[bytes], entries: Sequence[ZipRecord], directory: Directory) -> list[int]:
    """The offset of each record's data, in the order of `entries`. Raises `MessageRejected` for overlaps, and
    for bytes that belong to no record."""
    by_offset = sorted(entries, key=lambda record: record.offset)
    begins = [record.offset for record in by_offset] + [directory.start]
    for record, stop in zip(by_offset, begins[1:], strict=True):
        if record.offset + _LOCAL.size + len(record.name) + record.packed > stop:
            raise MessageRejected(finding(Fault.ZIP_OVERLAP, file=shown(record.name)))
    if begins[0] != 0:
        raise MessageRejected(finding(Fault.ZIP_HIDDEN))
    starts = {
        record.offset: _data_start(stream, record, stop)
        for record, stop in zip(by_offset, begins[1:], strict=True)
    }
    return [starts[record.offset] for record in entries]


def _data_start(stream: IO[bytes], record: ZipRecord, stop: int) -> int:
    header = _LOCAL.unpack(read_at(stream, record.offset, _LOCAL.size))
    signature, _, flags, method, _, _, crc, packed, size, named, extra = header
    at = record.offset + _LOCAL.size
    name = read_at(stream, at, named)
    start: int = at + named + extra
    if (
        signature != b"PK\x03\x04"
        or name != record.name
        or method != record.method
        or (flags ^ record.flags) & _COMPARED_FLAGS
    ):
        raise broken("local header and directory disagree", "文件头与目录不一致", shown(record.name))
    if start + record.packed > stop:
        raise MessageRejected(finding(Fault.ZIP_OVERLAP, file=shown(record.name)))
    extras = _extras(read_at(stream, at + named, extra), record.name)
    size, packed = _widen((size, packed), (_MAX32, _MAX32), extras, record.name)
    # With a descriptor the writer did not know these values yet (4.4.4, bit 3) and may have written 0.
    unknown = (0,) if flags & HAS_DESCRIPTOR else ()
    if (
        crc not in (record.crc, *unknown)
        or packed not in (record.packed, *unknown)
        or size not in (record.size, *unknown)
    ):
        raise broken("local header and directory disagree", "文件头与目录不一致", shown(record.name))
    _refuse_gap(stream, record, start + record.packed, stop)
    return start


def _refuse_gap(stream: IO[bytes], record: ZipRecord, data_end: int, stop: int) -> None:
    length = stop - data_end
    if not record.flags & HAS_DESCRIPTOR:
        if length:
            raise MessageRejected(finding(Fault.ZIP_HIDDEN, file=shown(record.name)))
        return
    # 4.3.9: with or without signature, with sizes of 4 or 8 bytes, and no field says which.
    if length > 4 + _DESCRIPTORS[-1].size:
        raise MessageRejected(finding(Fault.ZIP_HIDDEN, file=shown(record.name)))
    descriptor = read_at(stream, data_end, length).removeprefix(b"PK\x07\x08")
    form = next((form for form in _DESCRIPTORS if form.size == len(descriptor)), None)
    if form is None or form.unpack(descriptor) != (record.crc, record.packed, record.size):
        raise broken("wrong data descriptor", "数据描述符错误", shown(record.name))

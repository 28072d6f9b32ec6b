"""Writes zip files in which anything may be wrong: what no honest writer would let one do."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from struct import pack
from typing import Final

DOCUMENT: Final = b'<DecMessage xmlns="http://www.chinaport.gov.cn/dec"/>'
PDF: Final = b"%PDF-1.4\n%%EOF\n"


@dataclass(frozen=True, kw_only=True)
class Item:
    """One entry. What is None is as it should be; `local_*` changes the local header only, others both."""

    name: bytes
    data: bytes = PDF
    method: int = 8
    version_needed: int = 20
    flags: int = 0
    mode: int = 0o100644
    extra: bytes = b""
    packed_data: bytes | None = None
    crc: int | None = None
    size: int | None = None
    packed: int | None = None
    offset: int | None = None
    descriptor: bytes = b""
    local_name: bytes | None = None
    local_method: int | None = None
    local_flags: int | None = None
    local_crc: int | None = None
    local_size: int | None = None
    gap: bytes = b""

    @property
    def body(self) -> bytes:
        if self.packed_data is not None:
            return self.packed_data
        return deflate(self.data) if self.method == 8 else self.data

    def numbers(self) -> tuple[int, int, int]:
        crc = zlib.crc32(self.data) if self.crc is None else self.crc
        packed = len(self.body) if self.packed is None else self.packed
        return crc, packed, len(self.data) if self.size is None else self.size

    def sound_descriptor(self) -> bytes:
        return b"PK\x07\x08" + pack("<3I", *self.numbers())

    def local(self) -> bytes:
        crc, packed, size = self.numbers()
        name = self.name if self.local_name is None else self.local_name
        return (
            pack(
                "<4s5H3I2H",
                b"PK\x03\x04",
                20,
                self.flags if self.local_flags is None else self.local_flags,
                self.method if self.local_method is None else self.local_method,
                0,
                0x5821,
                crc if self.local_crc is None else self.local_crc,
                packed,
                size if self.local_size is None else self.local_size,
                len(name),
                len(self.extra),
            )
            + name
            + self.extra
        )

    def central(self, offset: int) -> bytes:
        crc, packed, size = self.numbers()
        fields = (3 << 8 | 20, self.version_needed, self.flags, self.method, 0, 0x5821, crc, packed, size)
        return (
            pack("<4s6H3I", b"PK\x01\x02", *fields)
            + pack("<5H", len(self.name), len(self.extra), 0, 0, 0)
            + pack("<2I", self.mode << 16, offset if self.offset is None else self.offset)
            + self.name
            + self.extra
        )


def deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def archive(
    items: Sequence[Item],
    *,
    first: bytes = b"",
    last: bytes = b"",
    comment: bytes = b"",
    after: bytes = b"",
    count: int | None = None,
    disk: int = 0,
    before_end: bytes = b"",
) -> bytes:
    """The zip of the items; `first` and `last` stand around them, and the offsets allow for it."""
    out = bytearray(first)
    directory = bytearray()
    for item in items:
        directory += item.central(len(out))
        out += item.local() + item.body + item.descriptor + item.gap
    out += last
    start = len(out)
    number = len(items) if count is None else count
    end = pack("<4s4H2IH", b"PK\x05\x06", disk, disk, number, number, len(directory), start, len(comment))
    return bytes(out + directory + before_end + end + comment + after)

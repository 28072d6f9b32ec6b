"""The facts of an attached PDF that the rules judge, read by qpdf through pikepdf.

Only the structure is read: cross-reference table, catalog, page tree, form fields. No content is decoded.
Files have at most a few megabytes, so the limits here are about what they unfold to, and how long that takes.
"""

import re
import resource
import zlib
from dataclasses import replace
from io import BytesIO
from itertools import islice
from typing import Any, Final, NamedTuple, TypedDict

import pikepdf

from gateway.formats.pdf_active import active_content
from gateway.formats.xml import Limits, parse
from gateway.model.faults import MessageRejected, in_bytes, printable
from gateway.model.message import Pdf

# The most bytes that all object and cross-reference streams of one file may unfold to: qpdf's own limits are
# for each stream, and a file may have any number of them. 4 MB of nested arrays become 280 MB of objects in
# 0.7 s; the object streams of an ordinary file of 4 MB have a few hundred KB.
_UNFOLDED: Final = 4 * 1024 * 1024
# The most bytes that the process may grow by: objects may overlap, each beginning in a comment of the one
# before, and then a file of 4 MB takes many times as much.
_MEMORY: Final = 128 * 1024 * 1024

# qpdf's limits are for the whole process. A file with more than a thousand warnings is given up. Every
# builder uses one filter for these streams; how far a second filter unfolds one cannot be measured.
pikepdf.settings.set_qpdf_limits(
    flate_max_memory=_UNFOLDED,
    png_max_memory=_UNFOLDED,
    run_length_max_memory=_UNFOLDED,
    tiff_max_memory=_UNFOLDED,
    max_stream_filters=1,
    parser_max_container_size=100_000,
    doc_max_warnings=1000,
)

_DATA_INFO: Final = "{http://www.w3.org/2000/09/xmldsig#}DataInfo"
_DATA: Final = "{*}SignedDate/{*}Data/{*}"
_LONGEST_SAID: Final = 255
_TRAILER_LIMITS: Final = Limits(size=64 * 1024, depth=16)
# Readers look for the header in the first and for the end mark in the last 1024 bytes (ISO 32000-1, annex
# H.3, notes 13 and 18). The bytes before the header must not make other readers take it for another format.
_MAGIC: Final = b"%PDF-"
_BEGINS_WITHIN: Final = 1024
_OTHER_BEGINNINGS: Final = (
    b"PK",
    b"<",
    b"MZ",
    b"\x7fELF",
    b"\x89PNG",
    b"GIF8",
    b"\xff\xd8\xff",
    b"Rar!",
    b"7z",
    b"#!",
)
_END_WITHIN: Final = 1024
_PADDING: Final = b"\0\r\n\t\f "
# qpdf repairs a broken cross-reference table by looking at every line and reading every apparent object, at
# up to 0.2 ms each. 4 MB of short lines took two seconds, and a package may hold 128 such files.
_REPAIRABLE_OBJECTS: Final = 2500
_REPAIRABLE_LINES: Final = 50_000
_MOST_FIELDS: Final = 10_000
_CHUNK: Final = 64 * 1024


class _Problem(NamedTuple):
    en: str
    zh: str


_NO_HEADER: Final = _Problem(
    f"there is no %PDF- in its first {_BEGINS_WITHIN} bytes",
    f"前 {_BEGINS_WITHIN} 字节中没有 %PDF-，不是 PDF 文件",
)
_OTHER_KIND: Final = _Problem("it begins as a file of another kind does", "文件开头是其他格式，不是 PDF 文件")
_NO_END: Final = _Problem(
    f"%%EOF is missing in its last {_END_WITHIN} bytes: cut short, or data follow",
    f"末尾 {_END_WITHIN} 字节中没有 %%EOF，文件不完整或其后另有数据",
)
_UNFOLDS_TOO_FAR: Final = _Problem(
    f"its structure unfolds to more than {_UNFOLDED} bytes", f"对象结构解压后超过 {in_bytes(_UNFOLDED)}"
)
_TAKES_TOO_MUCH: Final = _Problem(
    f"its structure takes more than {_MEMORY} bytes of memory",
    f"读取对象结构所需内存超过 {in_bytes(_MEMORY)}",
)
_DAMAGED_ZH: Final = "文件结构已损坏"


class _Spent(Exception):
    """A file exceeds its limits."""


# What pikepdf raises where an object is not of the expected kind; it differs from place to place.
_COMPLAINTS: Final = (
    pikepdf.PikepdfError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RuntimeError,
    ArithmeticError,
    _Spent,
)

_HEADER: Final = re.compile(rb"%PDF-(\d)\.(\d)")
_CATALOG_VERSION: Final = re.compile(r"/(\d)\.(\d)")
_BYTE_RANGE: Final = re.compile(rb"/ByteRange\s*\[")
_STREAM_NAME: Final = re.compile(r"stream <[^<>]*>[:,]?\s*")


class _Metered(BytesIO):
    """A file that refuses to be read further once its streams have unfolded to more, or the process has grown
    by more, than one file may.

    qpdf reads a stream in one piece from its first byte, which is how its unfolded size can be measured here.
    It takes an exception for a fault of a single object and reads on; so every read after `spent` is set
    raises again.
    """

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.spent: _Problem | None = None
        self._unfoldable = _UNFOLDED
        self._highest = _highest_memory() + _MEMORY

    def readinto(self, buffer: Any) -> int:
        if self.spent is not None:
            raise _Spent
        count = super().readinto(buffer)
        self._unfoldable -= _unfolded(memoryview(buffer)[:count], self._unfoldable)
        if self._unfoldable < 0:
            self.spent = _UNFOLDS_TOO_FAR
        elif _highest_memory() > self._highest:
            self.spent = _TAKES_TOO_MUCH
        return count


def _highest_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _unfolded(data: memoryview, most: int) -> int:
    """The number of bytes that a zlib stream unfolds to, 0 where `data` is not one. Counting stops soon after
    `most` is exceeded."""
    if len(data) < 2 or data[0] & 0x0F != zlib.DEFLATED or (data[0] << 8 | data[1]) % 31:
        return 0
    inflater = zlib.decompressobj()
    made = 0
    rest: Any = data
    try:
        while rest and made <= most:
            made += len(inflater.decompress(rest, _CHUNK))
            rest = inflater.unconsumed_tail
    except zlib.error:
        pass  # the bytes before the fault count: qpdf unfolds them as well
    return made


class _Trailer(TypedDict, total=False):
    trailer: bool
    trailer_name: str
    trailer_code: str


def begins(head: bytes) -> bool:
    """Whether a file with this beginning is a PDF; only its first 1029 bytes matter."""
    return _MAGIC in head[: _BEGINS_WITHIN + len(_MAGIC)] and not _is_other_kind(head)


def is_costly(facts: Pdf) -> bool:
    """Whether the file was given up because it exceeded its limits."""
    return facts.problem in (_UNFOLDS_TOO_FAR.en, _TAKES_TOO_MUCH.en)


def inspect(data: bytes) -> Pdf:
    """The facts of one file. Raises nothing whatever the bytes are: a file that cannot be read has a
    `problem`.

    A file with a broken cross-reference table is read if it can be repaired, as viewers do. A file that is
    cut short, or followed by more than 1 KB other than line ends, NULs and an import client's data block, has
    a problem. A file that needs a password is `encrypted`, with 0 pages and no problem.
    """
    body, problem = _without_trailer(data.rstrip(_PADDING))
    return replace(_inspected(body), **problem)


def _inspected(body: bytes) -> Pdf:
    at = body.find(_MAGIC, 0, _BEGINS_WITHIN + len(_MAGIC))
    if at < 0:
        return _unreadable(_NO_HEADER)
    if _is_other_kind(body):
        return _unreadable(_OTHER_KIND)
    header = _HEADER.match(body, at)
    version = _number(header.groups()) if header else 0
    if b"%%EOF" not in body[-_END_WITHIN:]:
        return _unreadable(_NO_END, version=version)
    signed = _BYTE_RANGE.search(body) is not None
    metered = _Metered(body)
    try:
        with pikepdf.open(
            metered,
            attempt_recovery=_is_repairable(body),
            inherit_page_attributes=False,
        ) as file:
            stated = _CATALOG_VERSION.match(str(file.Root.get("/Version", "")))
            inspected = Pdf(
                version=max(version, _number(stated.groups()) if stated else 0),
                pages=len(file.pages),  # qpdf raises where there are none
                encrypted=file.is_encrypted,
                signed=signed or _has_signed_field(file),
                active=", ".join(active_content(body, file)),
            )
    except pikepdf.PasswordError:
        return Pdf(version=version, encrypted=True, signed=signed)
    except _COMPLAINTS as error:
        # qpdf cannot open a file that is encrypted for certificates, and does not give that as the reason.
        if b"/Encrypt" in body:
            return Pdf(version=version, encrypted=True, signed=signed)
        complaint = printable(_STREAM_NAME.sub("", str(error)))
        return _unreadable(metered.spent or _Problem(complaint, _DAMAGED_ZH), version=version, signed=signed)
    # qpdf takes objects that it could no longer read for null, and returns the rest without an error.
    return inspected if metered.spent is None else _unreadable(metered.spent, version=version, signed=signed)


def _is_other_kind(head: bytes) -> bool:
    return head.lstrip(_PADDING + b"\xef\xbb\xbf").startswith(_OTHER_BEGINNINGS)


def _unreadable(problem: _Problem, version: int = 0, signed: bool = False) -> Pdf:
    return Pdf(problem=problem.en, problem_zh=problem.zh, version=version, signed=signed)


def _is_repairable(body: bytes) -> bool:
    lines = body.count(b"\n") + body.count(b"\r")
    return body.count(b"obj") <= 2 * _REPAIRABLE_OBJECTS and lines <= _REPAIRABLE_LINES


def _number(digits: tuple[bytes | str, ...]) -> int:
    major, minor = digits
    return int(major) * 10 + int(minor)


def _without_trailer(data: bytes) -> tuple[bytes, _Trailer]:
    """The PDF itself, and the values of the data block that an import client appends (`DataInfo`). A
    malformed block is ignored."""
    end = data.rfind(b"%%EOF") + len(b"%%EOF")
    block = data[end : end + _TRAILER_LIMITS.size + 1].strip(b" \t\r\n\0")
    if not block.startswith(b"<"):
        return data, {}
    try:
        root = parse(block, _TRAILER_LIMITS)
    except MessageRejected:
        return data, {}
    if root.tag != _DATA_INFO:
        return data, {}
    name, code = (
        (root.findtext(_DATA + field) or "").strip()[:_LONGEST_SAID] for field in ("FILE_NAME", "FILE_TYPE")
    )
    return data[:end], {"trailer": True, "trailer_name": name, "trailer_code": code}


def _has_signed_field(file: pikepdf.Pdf) -> bool:
    """Whether a signature field has a value; field types are inherited (ISO 32000-1, 12.7.3.1)."""
    form = file.Root.get("/AcroForm")
    waiting: list[tuple[object, object]] = []
    room = _MOST_FIELDS  # the most fields ever queued: a field may be its own kid a hundred thousand times
    kids: object = form.get("/Fields") if isinstance(form, pikepdf.Dictionary) else None
    kind: object = None
    while True:
        if room and isinstance(kids, pikepdf.Array):
            some = [(kid, kind) for kid in islice(kids, room)]
            room -= len(some)
            waiting += some
        if not waiting:
            return False
        field, kind = waiting.pop()
        kids = None
        if isinstance(field, pikepdf.Dictionary):
            kind = field.get("/FT", kind)
            if kind == pikepdf.Name.Sig and "/V" in field:
                return True
            kids = field.get("/Kids")

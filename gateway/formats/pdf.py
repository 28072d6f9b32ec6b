"""The facts of an attached PDF that the rules judge (FORMATS 3.4), read by qpdf through pikepdf.

Only the structure is read: cross-reference table, catalog, page tree, form fields. No content is decoded.
A file of at most some megabytes comes in, so what is bounded here is what it may unfold to and how long that
takes.
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

# What all object and cross-reference streams of one file may unfold to: qpdf's own bounds are for each stream
# and a file has as many of them as it likes. 4 MB of nested arrays become 280 MB of objects, in 0.7 s; object
# streams of a file of 4 MB, as builders write them, are some hundred KB.
_UNFOLDED: Final = 4 * 1024 * 1024
# What the process may grow by: objects may overlap, each beginning in a comment of the one before, and then a
# file of 4 MB is many times as large.
_MEMORY: Final = 128 * 1024 * 1024

# qpdf keeps its bounds for the whole process. A file that earns a thousand warnings is given up. One filter
# is what every builder gives these streams; behind a second one nobody sees how far they unfold.
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
# H.3, notes 13 and 18). What stands before the header must not make it a file of another kind to others.
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
# qpdf repairs a broken cross-reference table by looking at every line, and by reading every object there
# seems to be, at up to 0.2 ms each. 4 MB of short lines took two seconds, and a package may hold 128 of them.
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
    """A file takes more than its bounds in all."""


# What pikepdf raises where an object is not of the kind that it should be; this depends on the place.
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
    """A file that is read no further when more has been unfolded from its streams, or the process has grown
    by more, than one file may cost.

    qpdf reads a stream that it decodes at once, from its first byte. What is raised in here it takes for a
    fault of the one object and reads on, so nothing is read any more once `spent` says why.
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
    """What a zlib stream unfolds to, as far as it is one, up to one byte more than `most`."""
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
        pass  # what comes before the fault is unfolded all the same
    return made


class _Trailer(TypedDict, total=False):
    trailer: bool
    trailer_name: str
    trailer_code: str


def begins(head: bytes) -> bool:
    """Whether what begins so is a PDF; more than its first 1029 bytes does not count."""
    return _MAGIC in head[: _BEGINS_WITHIN + len(_MAGIC)] and not _is_other_kind(head)


def is_costly(facts: Pdf) -> bool:
    """Whether the file was given up since it takes more than one may."""
    return facts.problem in (_UNFOLDS_TOO_FAR.en, _TAKES_TOO_MUCH.en)


def inspect(data: bytes) -> Pdf:
    """The facts of one file, whatever it is; it raises nothing for what the bytes are.

    A file with a broken cross-reference table is read if it can be repaired, as viewers do; one that is cut
    short, or is followed by more than 1 KB of anything but line ends, NULs and the trailer of FORMATS 3.2, is
    a problem. A file that opens only with a password is `encrypted`, with 0 pages and no problem.
    """
    body, said = _without_trailer(data.rstrip(_PADDING))
    return replace(_inspected(body), **said)


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
            found = Pdf(
                version=max(version, _number(stated.groups()) if stated else 0),
                pages=len(file.pages),  # qpdf raises where there are none
                encrypted=file.is_encrypted,
                signed=signed or _has_signed_field(file),
                active=", ".join(active_content(body, file)),
            )
    except pikepdf.PasswordError:
        return Pdf(version=version, encrypted=True, signed=signed)
    except _COMPLAINTS as error:
        # qpdf cannot open what is encrypted for certificates, nor say that this is why.
        if b"/Encrypt" in body:
            return Pdf(version=version, encrypted=True, signed=signed)
        said = printable(_STREAM_NAME.sub("", str(error)))
        return _unreadable(metered.spent or _Problem(said, _DAMAGED_ZH), version=version, signed=signed)
    # What qpdf could not read any more it takes for null, and tells the rest.
    return found if metered.spent is None else _unreadable(metered.spent, version=version, signed=signed)


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
    """The PDF itself, and what the block of FORMATS 3.2 after it says. A malformed one is none."""
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
    room = _MOST_FIELDS  # of what is ever put there: a field may be its own kid, a hundred thousand times
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

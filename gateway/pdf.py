"""The facts of an attached PDF that the rules judge (FORMATS 3.4), read by qpdf through pikepdf.

Only the structure is read: cross-reference table, catalog, page tree, form fields. No content is decoded.
A file of at most some megabytes comes in, so what is bounded here is what it may unfold to and how long that
takes.
"""

import re
from dataclasses import replace
from io import BytesIO
from itertools import islice
from typing import Final, TypedDict

import pikepdf

from gateway.faults import Rejected, printable
from gateway.message import Pdf
from gateway.xml import Limits, parse

# qpdf keeps its bounds for the whole process. Only object and cross-reference streams are inflated; 16 MB of
# them become some 130 MB of objects at worst. A file that earns a thousand warnings is given up.
pikepdf.settings.set_qpdf_limits(
    flate_max_memory=16 * 1024 * 1024,
    png_max_memory=16 * 1024 * 1024,
    run_length_max_memory=16 * 1024 * 1024,
    tiff_max_memory=16 * 1024 * 1024,
    parser_max_container_size=100_000,
    doc_max_warnings=1000,
)

_DATA_INFO: Final = "{http://www.w3.org/2000/09/xmldsig#}DataInfo"
_DATA: Final = "{*}SignedDate/{*}Data/{*}"
_LONGEST_SAID: Final = 255
_TRAILER_LIMITS: Final = Limits(size=64 * 1024, depth=16)
# Readers look for the end mark in the last 1024 bytes (ISO 32000-1, annex H.3, note 18).
_END_WITHIN: Final = 1024
# qpdf repairs a broken cross-reference table by looking at every line, and by reading every object there
# seems to be, at up to 0.2 ms each. 4 MB of short lines took two seconds, and a package may hold 128 of them.
_REPAIRABLE_OBJECTS: Final = 2500
_REPAIRABLE_LINES: Final = 50_000
_MOST_FIELDS: Final = 10_000

# What pikepdf raises where an object is not of the kind that it should be; this depends on the place.
_COMPLAINTS: Final = (
    pikepdf.PikepdfError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RuntimeError,
    ArithmeticError,
)

_HEADER: Final = re.compile(rb"%PDF-(\d)\.(\d)")
_CATALOG_VERSION: Final = re.compile(r"/(\d)\.(\d)")
_BYTE_RANGE: Final = re.compile(rb"/ByteRange\s*\[")
_STREAM_NAME: Final = re.compile(r"stream <[^<>]*>[:,]?\s*")


class _Trailer(TypedDict, total=False):
    trailer: bool
    trailer_name: str
    trailer_code: str


def inspect(data: bytes) -> Pdf:
    """The facts of one file, whatever it is; it raises nothing for what the bytes are.

    A file with a broken cross-reference table is read if it can be repaired, as viewers do; one that is cut
    short, or is followed by more than 1 KB of anything but the trailer of FORMATS 3.2, is a problem. A file
    that opens only with a password is `encrypted`, with 0 pages and no problem.
    """
    body, said = _without_trailer(data)
    return replace(_inspected(body), **said)


def _inspected(body: bytes) -> Pdf:
    header = _HEADER.match(body)
    version = _number(header.groups()) if header else 0
    if not body.startswith(b"%PDF-"):
        return Pdf(problem="it does not begin with %PDF-")
    if b"%%EOF" not in body[-_END_WITHIN:]:
        return Pdf(problem="%%EOF is missing near its end: cut short, or data follow", version=version)
    signed = _BYTE_RANGE.search(body) is not None
    try:
        with pikepdf.open(
            BytesIO(body),
            attempt_recovery=_is_repairable(body),
            inherit_page_attributes=False,
        ) as file:
            stated = _CATALOG_VERSION.match(str(file.Root.get("/Version", "")))
            return Pdf(
                version=max(version, _number(stated.groups()) if stated else 0),
                pages=len(file.pages),  # qpdf raises where there are none
                encrypted=file.is_encrypted,
                signed=signed or _has_signed_field(file),
            )
    except pikepdf.PasswordError:
        return Pdf(version=version, encrypted=True, signed=signed)
    except _COMPLAINTS as error:
        # qpdf cannot open what is encrypted for certificates, nor say that this is why.
        encrypted = b"/Encrypt" in body
        problem = "" if encrypted else printable(_STREAM_NAME.sub("", str(error)))
        return Pdf(problem=problem, version=version, encrypted=encrypted, signed=signed)


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
    except Rejected:
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

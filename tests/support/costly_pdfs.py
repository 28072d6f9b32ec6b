"""Small PDFs whose structure is far larger than they are."""

import zlib
from typing import Final

_PAGE: Final = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/X [%b]>>"
_FIRST_PAGE: Final = 100


def arrays(size: int) -> bytes:
    """Nested arrays of about so many bytes, none of which is longer than readers allow."""
    return (b"[" + b"[]" * 49_999 + b"]") * (size // 100_000)


def in_object_streams(pages: int, size: int) -> bytes:
    """Each page in an object stream of its own that unfolds to about `size` bytes."""
    inside = _PAGE % arrays(size)
    places: dict[int, tuple[int, int]] = {}
    out = _begun(pages, places)
    for page in range(pages):
        head = b"%d 0 " % (_FIRST_PAGE + page)
        packed = zlib.compress(head + inside, 9)
        stream = _FIRST_PAGE + pages + page
        places[stream] = (1, len(out))
        places[_FIRST_PAGE + page] = (2, stream)
        out += b"%d 0 obj<</Type/ObjStm/N 1/First %d/Filter/FlateDecode" % (stream, len(head))
        out += b"/Length %d>>stream\n%b\nendstream endobj\n" % (len(packed), packed)
    return _ended(out, places)


def overlapping(pages: int, size: int) -> bytes:
    """Pages whose objects begin one in a comment of the other: one body of `size` bytes is that of all."""
    places: dict[int, tuple[int, int]] = {}
    out = _begun(pages, places)
    for page in range(_FIRST_PAGE, _FIRST_PAGE + pages):
        places[page] = (1, len(out))
        out += b"%d 0 obj%%" % page
    out += b"\n" + _PAGE % arrays(size) + b"\nendobj\n"
    return _ended(out, places)


def _begun(pages: int, places: dict[int, tuple[int, int]]) -> bytearray:
    kids = b" ".join(b"%d 0 R" % page for page in range(_FIRST_PAGE, _FIRST_PAGE + pages))
    out = bytearray(b"%PDF-1.5\n")
    for number, body in (
        (1, b"<</Type/Catalog/Pages 2 0 R>>"),
        (2, b"<</Type/Pages/Count %d/Kids[%b]>>" % (pages, kids)),
    ):
        places[number] = (1, len(out))
        out += b"%d 0 obj%bendobj\n" % (number, body)
    return out


def _ended(out: bytearray, places: dict[int, tuple[int, int]]) -> bytes:
    own, start = max(places) + 1, len(out)
    places[own] = (1, start)
    rows = [places.get(number, (0, 0)) for number in range(own + 1)]
    table = b"".join(bytes([kind]) + place.to_bytes(4, "big") + b"\0\0" for kind, place in rows)
    out += b"%d 0 obj<</Type/XRef/Size %d/W[1 4 2]/Root 1 0 R/Length %d>>stream\n" % (
        own,
        own + 1,
        len(table),
    )
    out += table + b"\nendstream endobj\nstartxref\n%d\n%%%%EOF\n" % start
    return bytes(out)

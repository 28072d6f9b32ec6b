"""Decodes a document strictly as its XML declaration says.

Accepted are UTF-8 (one byte order mark allowed), GBK and GB18030 where declared, and XML version 1.0. Two
readers that are not equally strict about the declaration take the same bytes for different characters, so
a declaration that is not well-formed (XML 1.0, productions 23 to 26, 32, 80 and 81) is rejected.
"""

import re
from typing import Final

from gateway.model.faults import Fault, MessageRejected, finding

# GB2312 is a subset of GBK under its IANA name, as older broker software declares it.
_CODECS: Final = {"utf-8": "utf-8", "utf8": "utf-8", "gbk": "gbk", "gb2312": "gbk", "gb18030": "gb18030"}
_MARK: Final = b"\xef\xbb\xbf"
_FORMS_OF_UTF16_32: Final = (b"\xff\xfe", b"\xfe\xff", b"\x00<", b"<\x00", b"\x00\x00\xfe\xff")

_BEGINS: Final = re.compile(rb"<\?xml(?![A-Za-z0-9._:\x80-\xff-])")
_SHOWN: Final = 80  # bytes; a complete declaration takes sixty
_SPACE: Final = rb"[ \t\r\n]"
_IS: Final = _SPACE + rb"*+=" + _SPACE + rb"*+"
# With possessive quantifiers, so that no byte is tried twice.
_WHOLE: Final = re.compile(
    rb"<\?xml"
    + (_SPACE + rb"++version" + _IS + rb"""(?P<version>"[0-9.]++"|'[0-9.]++')""")
    + (rb"(?:" + _SPACE + rb"++encoding" + _IS)
    + rb"""(?P<encoding>"[A-Za-z][A-Za-z0-9._-]*+"|'[A-Za-z][A-Za-z0-9._-]*+'))?+"""
    + (rb"(?:" + _SPACE + rb"++standalone" + _IS + rb"""(?:"(?:yes|no)"|'(?:yes|no)'))?+""")
    + (_SPACE + rb"*+\?>")
)


def as_utf8(data: bytes) -> bytes:
    """The document in UTF-8 without its byte order mark. Raises `MessageRejected` for a bad declaration, for
    another encoding, and for bytes that are not in the declared one."""
    body = data.removeprefix(_MARK)
    had_mark = len(body) != len(data)
    if body.startswith(_FORMS_OF_UTF16_32):
        raise MessageRejected(finding(Fault.XML_ENCODING, detail="UTF-16/UTF-32"))
    name = _declared(body)
    codec = _CODECS.get(name.lower())
    if codec is None or (had_mark and codec != "utf-8"):
        raise MessageRejected(finding(Fault.XML_ENCODING, detail=name))
    try:
        text = body.decode(codec)
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise MessageRejected(finding(Fault.XML_ENCODING, detail=name, line=line)) from None
    if text.startswith("\ufeff"):
        raise MessageRejected(
            finding(
                Fault.XML_ENCODING,
                detail="more than the one byte order mark of UTF-8",
                detail_zh="字节顺序标记（BOM）多于一个，或不是 UTF-8 的",
            )
        )
    return body if codec == "utf-8" else text.encode("utf-8")


def _declared(body: bytes) -> str:
    """The encoding that the XML declaration names; UTF-8, XML's default, where it names none."""
    if not _BEGINS.match(body):
        return "UTF-8"
    match = _WHOLE.match(body)
    if match is None or match["version"][1:-1] != b"1.0":
        shown = body[:_SHOWN].partition(b"?>")[0].decode("ascii", "replace")
        raise MessageRejected(finding(Fault.XML_DECLARATION, detail=shown, line=1))
    return (match["encoding"] or b'"UTF-8"')[1:-1].decode()

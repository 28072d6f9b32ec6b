"""The envelope of the data exchange platform: `DxpMsg` (GAC announcement 2018 No. 113).

Its data may be larger than memory, so they do not pass through the XML parser: the base64 is cut out of the
stream, and the rest, the envelope with an empty `Data`, is parsed like any other input. Anything that could
hide a tag from one of the two readings, such as a comment, is refused.
"""

import base64
import binascii
import io
import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import IO, Final

from lxml import etree

from gateway.config.connections import DxpSettings
from gateway.formats import xml
from gateway.formats.submission import is_safe
from gateway.model.answer import Answer
from gateway.model.china import CHINA
from gateway.model.faults import Fault, MessageRejected, finding
from gateway.model.message import SUBMISSION_KEY, Submission, made_at, message_of

NAMESPACE: Final = "http://www.chinaport.gov.cn/dxp"
ROOT: Final = f"{{{NAMESPACE}}}DxpMsg"
# The key in an answer's BizKey that holds the CopMsgId of the submission. The platform defines none; this is
# our convention.
ANSWERS: Final = "OriCopMsgId"

_CHUNK: Final = 57 * 1024  # bytes of data; three of them make four characters
_AROUND: Final = 64 * 1024  # most bytes before the data, and after them
_DATA: Final = re.compile(rb"<((?:[A-Za-z_][A-Za-z0-9_.-]*:)?Data)\s*>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The values of an envelope besides its data. `id` is CopMsgId, `name` AddInfo/FileName, `keys` BizKey;
    missing values are empty."""

    id: str
    sender: str
    receivers: tuple[str, ...]
    type: str
    name: str = ""
    keys: dict[str, str] = field(default_factory=dict)


def write_submission(
    submission: Submission, packed: IO[bytes], out: IO[bytes], settings: DxpSettings
) -> None:
    """Writes a DxpMsg around the zip of a submission. The same submission gives the same bytes however often
    it is sent: the envelope's time is the one in the message's id."""
    head = Head(
        id=submission.key,
        sender=settings.sender,
        receivers=(settings.receiver,),
        type=settings.message_type,
        name=f"{submission.key}.zip",
    )
    write(head, made_at(message_of(submission.key)), packed, out)


def write(head: Head, at: datetime, data: IO[bytes], out: IO[bytes]) -> None:
    """Writes a DxpMsg with the time `at` around the rest of `data`, in constant memory."""
    root = etree.Element(ROOT, {"ver": "1.0", "Id": f"M{head.id}"}, nsmap={None: NAMESPACE})
    info = _put(root, "TransInfo")
    _put(info, "CopMsgId", head.id)
    _put(info, "SenderId", head.sender)
    receivers = _put(info, "ReceiverIds")
    for receiver in head.receivers:
        _put(receivers, "ReceiverId", receiver)
    _put(info, "CreatTime", at.astimezone(CHINA).isoformat(timespec="seconds"))
    _put(info, "MsgType", head.type)
    _put(root, "Data", "")
    if head.name or head.keys:
        more = _put(root, "AddInfo")
        if head.name:
            _put(more, "FileName", head.name)
        keys = _put(more, "BizKey") if head.keys else more
        for name, value in head.keys.items():
            _put(keys, "Key", value).set("name", name)
    before, tag, after = etree.tostring(root, encoding="UTF-8", xml_declaration=True).partition(
        b"<Data></Data>"
    )
    assert tag  # noqa: S101  the only element of that name, and no text holds a tag
    out.write(before + b"<Data>")
    while chunk := _exactly(data, _CHUNK):
        out.write(base64.b64encode(chunk))
    out.write(b"</Data>" + after)


def read(stream: IO[bytes], out: IO[bytes]) -> Head:
    """Writes the data of a DxpMsg to `out`, in constant memory. Raises `MessageRejected` for anything else;
    what was written to `out` by then must be discarded."""
    start, rest = _until_data(stream)
    return _head(start + _decode(stream, rest, out))


def unwrapped(answer: Answer) -> Answer:
    """The answer inside a DxpMsg: its data, with the name and the submission's key from the envelope where
    they are valid.

    Any other answer is returned unchanged, to be read or held for an operator as it is. So is a `DxpRep`, the
    platform's report on the transport of a message, which is not an answer of customs."""
    if b"DxpMsg" not in answer.body[:_AROUND]:
        return answer
    out = io.BytesIO()
    try:
        head = read(io.BytesIO(answer.body), out)
    except MessageRejected:
        return answer
    key = head.keys.get(ANSWERS, "")
    return replace(
        answer,
        body=out.getvalue(),
        name=head.name if is_safe(head.name) else answer.name,
        key=answer.key or (key if SUBMISSION_KEY.fullmatch(key) else None),
    )


def _put(parent: etree._Element, tag: str, text: str | None = None) -> etree._Element:
    child = etree.SubElement(parent, f"{{{NAMESPACE}}}{tag}")
    child.text = text
    return child


def _exactly(stream: IO[bytes], size: int) -> bytes:
    """Exactly `size` bytes; fewer only at the end of the stream."""
    data = b""
    while len(data) < size and (more := stream.read(size - len(data))):
        data += more
    return data


def _until_data(stream: IO[bytes]) -> tuple[bytes, bytes]:
    """The bytes up to the `Data` tag, inclusive, and the bytes that were read after it."""
    start = _exactly(stream, _AROUND)
    tag = _DATA.search(start)
    if tag is None:
        raise _no_envelope("no Data")
    return start[: tag.end()], start[tag.end() :]


def _decode(stream: IO[bytes], rest: bytes, out: IO[bytes]) -> bytes:
    """Decodes the base64 in `rest` and then `stream` into `out`, and returns the bytes that follow it."""
    left = b""
    while rest:
        text, mark, end = rest.partition(b"<")
        left += b"".join(text.split())
        if mark:
            out.write(_decoded(left))
            end += _exactly(stream, max(0, _AROUND + 1 - len(end)))
            if len(end) > _AROUND:
                raise _no_envelope("too much after Data")
            return mark + end
        # Only the last four characters may have padding; they are kept back until the end is seen.
        whole = max(0, len(left) - 1) // 4 * 4
        if b"=" in left[:whole]:
            raise _no_envelope("Data is no base64")
        out.write(_decoded(left[:whole]))
        left = left[whole:]
        rest = _exactly(stream, _CHUNK)
    raise _no_envelope("it ends within Data")


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise _no_envelope("Data is no base64") from None


def _head(document: bytes) -> Head:
    """The values of an envelope that was read without its data."""
    if b"<!" in document:  # a comment or a section could hold a tag that only one of the readings sees
        raise _no_envelope("it holds a comment, a section or a DTD")
    root = xml.parse(document)
    data = list(root.iter("{*}Data"))
    if root.tag != ROOT or len(data) != 1 or data[0].getparent() is not root or len(data[0]) or data[0].text:
        raise _no_envelope("Data stands elsewhere")
    if data[0].tag != f"{{{NAMESPACE}}}Data":
        raise _no_envelope("Data is of another namespace")
    places = {"d": NAMESPACE}
    keys = root.iterfind("d:AddInfo/d:BizKey/d:Key", places)
    return Head(
        id=_text_at(root, "TransInfo/CopMsgId"),
        sender=_text_at(root, "TransInfo/SenderId"),
        receivers=tuple(
            (each.text or "").strip()
            for each in root.iterfind("d:TransInfo/d:ReceiverIds/d:ReceiverId", places)
        ),
        type=_text_at(root, "TransInfo/MsgType"),
        name=_text_at(root, "AddInfo/FileName"),
        keys={str(key.get("name", "")): (key.text or "").strip() for key in keys},
    )


def _text_at(root: etree._Element, path: str) -> str:
    steps = "/".join(f"{{{NAMESPACE}}}{step}" for step in path.split("/"))
    return (root.findtext(steps) or "").strip()


def _no_envelope(why: str) -> MessageRejected:
    return MessageRejected(
        finding(Fault.XML_MALFORMED, detail=f"no DXP envelope: {why}", detail_zh="不是完整的 DXP 信封")
    )

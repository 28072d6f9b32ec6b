"""The content of a message as AMQP 0-9-1 writes it: the header before its body, and frames.

The library encodes each property by way of its type's name, which costs ten times as much; its codec is the
measure that this one is tested against.
"""

import struct
from contextlib import suppress
from typing import Any, Final

import aio_pika
from aio_pika.abc import HeadersType
from pamqp import encode

METHOD: Final = 1  # kinds of frames
HEADER: Final = 2
BODY: Final = 3
END: Final = b"\xce"
BASIC: Final = 60  # the class of all methods and headers of content
AROUND: Final = 8  # bytes of a frame beside its payload

UNFIT: Final = (TypeError, ValueError, OverflowError, OSError, RecursionError, IndexError, struct.error)

_FRAME: Final = struct.Struct(">BHI")
_HEAD: Final = struct.Struct(">HHQ")  # class, weight, size of the body
_FLAGS: Final = struct.Struct(">H")
_LENGTH: Final = struct.Struct(">I")
_SHORT: Final = -1  # lengths that stand before a property itself
_TABLE: Final = -2
_PROPERTIES: Final = tuple(
    (1 << 15 - place, name, length)
    for place, (name, length) in enumerate(
        (
            ("content_type", _SHORT),
            ("content_encoding", _SHORT),
            ("headers", _TABLE),
            ("delivery_mode", 1),
            ("priority", 1),
            ("correlation_id", _SHORT),
            ("reply_to", _SHORT),
            ("expiration", _SHORT),
            ("message_id", _SHORT),
            ("timestamp", 8),
            ("type", _SHORT),
            ("user_id", _SHORT),
            ("app_id", _SHORT),
            ("cluster_id", _SHORT),
        )
    )
)
_LONGEST_NAME: Final = 128  # bytes of a header's name; the library cuts longer ones


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    return b"%b%b\xce" % (_FRAME.pack(kind, channel, len(payload)), payload)


def short(text: str) -> bytes:
    """Raises `ValueError` for what does not fit."""
    data = text.encode()
    return bytes((len(data),)) + data


def content_header(message: aio_pika.Message) -> bytes:
    """The payload of the header frame. Raises one of `UNFIT` for properties that cannot be written."""
    if message.expiration is not None or message.priority is None:
        return _HEAD.pack(BASIC, 0, message.body_size) + message.properties.marshal()
    flags, parts = 1 << 13 | 1 << 12 | 1 << 11, list[bytes]()
    for bit, text in ((15, message.content_type), (14, message.content_encoding)):
        if text:
            flags |= 1 << bit
            parts.append(short(text))
    parts += (_table(message.headers), bytes((message.delivery_mode, message.priority)))
    for bit, text in ((10, message.correlation_id), (9, message.reply_to), (7, message.message_id)):
        if text:
            flags |= 1 << bit
            parts.append(short(text))
    if message.timestamp is not None:
        flags |= 1 << 6
        parts.append(encode.timestamp(message.timestamp))
    for bit, text in ((5, message.type), (4, message.user_id), (3, message.app_id)):
        if text:
            flags |= 1 << bit
            parts.append(short(text))
    return b"%b%b%b" % (_HEAD.pack(BASIC, 0, message.body_size), _FLAGS.pack(flags), b"".join(parts))


def _table(headers: HeadersType) -> bytes:
    parts = list[bytes]()
    for name, value in sorted(headers.items()):
        key = name.encode()
        if len(key) > _LONGEST_NAME:
            return encode.field_table(headers)
        if isinstance(value, str):
            data = value.encode()
            parts.append(b"%c%bS%b%b" % (len(key), key, _LENGTH.pack(len(data)), data))
        else:
            parts.append(b"%c%b%b" % (len(key), key, encode.encode_table_value(value)))
    table = b"".join(parts)
    return _LENGTH.pack(len(table)) + table


def body_frames(channel: int, body: bytes, largest: int) -> list[bytes]:
    """The frames of a body, with payloads of at most so many bytes."""
    if len(body) <= largest:
        return [frame(BODY, channel, body)] if body else []
    return [frame(BODY, channel, body[at : at + largest]) for at in range(0, len(body), largest)]


def read_short(data: bytes, at: int) -> tuple[int, bytes]:
    """The offset after a short string, and its bytes."""
    end = at + 1 + data[at]
    return end, data[at + 1 : end]


def body_size_in(header: bytes) -> int:
    """From the payload of a header frame."""
    return int(_HEAD.unpack_from(header)[2])


def properties_in(header: bytes) -> dict[str, Any]:
    """The properties in the payload of a header frame, up to one that is cut short. Headers are the bytes of
    their table; strings that are not UTF-8 have the replacement character."""
    properties = dict[str, Any]()
    with suppress(*UNFIT):
        (flags,) = _FLAGS.unpack_from(header, _HEAD.size)
        at = _HEAD.size + _FLAGS.size
        for flag, name, length in _PROPERTIES:
            if not flags & flag:
                continue
            begin = at
            if length == _SHORT:
                begin, at = at + 1, at + 1 + header[at]
            elif length == _TABLE:
                at += _LENGTH.size + _LENGTH.unpack_from(header, at)[0]
            else:
                at += length
            if at > len(header):
                break
            value = header[begin:at]
            if length == _SHORT:
                properties[name] = value.decode("utf-8", "replace")
            else:
                properties[name] = value if length == _TABLE else int.from_bytes(value, "big")
    return properties

"""Frames of AMQP 0-9-1, written and read in groups: what a client spends at least on a message.

Only what the job needs: content with text headers, on one channel.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

CHANNEL: Final = 1
_METHOD, _HEADER, _BODY, _END = 1, 2, 3, b"\xce"
_BASIC: Final = 60
_PUBLISH, _DELIVER, _ACK = 40, 60, 80
_LARGEST: Final = 131_072 - 8  # bytes of a body in one frame, as the broker proposes
_TEXTS: Final = (  # properties that are short texts, by bit
    (15, "content_type"),
    (10, "correlation_id"),
    (9, "reply_to"),
    (7, "message_id"),
    (5, "type"),
    (4, "user_id"),
    (3, "app_id"),
)
_HEADERS, _MODE, _TIMESTAMP = 13, 12, 6
_PERSISTENT: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A message; empty properties are left out."""

    body: bytes
    headers: Mapping[str, str | bool] = field(default_factory=dict)
    content_type: str = ""
    correlation_id: str = ""
    reply_to: str = ""
    message_id: str = ""
    type: str = ""
    user_id: str = ""
    app_id: str = ""
    timestamp: int = 0


def published(content: Content, exchange: str, routing_key: str) -> bytes:
    """A mandatory publish."""
    to = struct.pack(">H", 0) + _short(exchange) + _short(routing_key) + b"\x01"
    return _frames(_PUBLISH, to, content)


def delivered(content: Content, tag: int, queue: str) -> bytes:
    """As the broker delivers it to a consumer."""
    of = _short("consumer") + struct.pack(">QB", tag, 0) + _short("") + _short(queue)
    return _frames(_DELIVER, of, content)


def acknowledged(tag: int) -> bytes:
    """The acknowledgement of all messages up to this one."""
    return _frame(_METHOD, struct.pack(">HHQB", _BASIC, _ACK, tag, 1))


def contents(received: bytes) -> Iterator[Content]:
    """The messages in what a connection delivered."""
    at, end = 0, len(received)
    properties: dict[str, str] = {}
    headers: dict[str, str | bool] = {}
    size, parts = 0, list[bytes]()
    while at < end:
        kind, _channel, length = struct.unpack_from(">BHI", received, at)
        begin, at = at + 7, at + 8 + length
        if kind == _HEADER:
            (size,) = struct.unpack_from(">Q", received, begin + 4)
            properties, headers = _read_properties(received, begin + 12)
            parts = []
        elif kind == _BODY:
            parts.append(received[begin : at - 1])
            size -= length
            if size == 0:
                body = parts[0] if len(parts) == 1 else b"".join(parts)
                yield Content(body=body, headers=headers, **properties)  # type: ignore[arg-type]


def _frames(method: int, arguments: bytes, content: Content) -> bytes:
    body = content.body
    frames = [
        _frame(_METHOD, struct.pack(">HH", _BASIC, method) + arguments),
        _frame(_HEADER, struct.pack(">HHQ", _BASIC, 0, len(body)) + _properties(content)),
    ]
    frames += [_frame(_BODY, body[at : at + _LARGEST]) for at in range(0, len(body), _LARGEST)]
    return b"".join(frames)


def _frame(kind: int, payload: bytes) -> bytes:
    return struct.pack(">BHI", kind, CHANNEL, len(payload)) + payload + _END


def _properties(content: Content) -> bytes:
    flags, parts = 1 << _MODE, list[bytes]()
    said = {bit: value for bit, name in _TEXTS if (value := getattr(content, name))}
    for bit in (15, 13, 12, 10, 9, 7, 6, 5, 4, 3):  # in the order of the specification
        if bit == _HEADERS and content.headers:
            parts.append(_table(content.headers))
        elif bit == _MODE:
            parts.append(bytes([_PERSISTENT]))
        elif bit == _TIMESTAMP and content.timestamp:
            parts.append(struct.pack(">Q", content.timestamp))
        elif bit in said:
            parts.append(_short(said[bit]))
        else:
            continue
        flags |= 1 << bit
    return struct.pack(">H", flags) + b"".join(parts)


def _read_properties(received: bytes, at: int) -> tuple[dict[str, str], dict[str, str | bool]]:
    (flags,) = struct.unpack_from(">H", received, at)
    at += 2
    texts = dict(_TEXTS)
    properties: dict[str, str] = {}
    headers: dict[str, str | bool] = {}
    for bit in (15, 13, 12, 10, 9, 7, 6, 5, 4, 3):
        if not flags & 1 << bit:
            continue
        if bit == _HEADERS:
            (length,) = struct.unpack_from(">I", received, at)
            headers = _read_table(received, at + 4, at + 4 + length)
            at += 4 + length
        elif bit == _MODE:
            at += 1
        elif bit == _TIMESTAMP:
            at += 8
        else:
            properties[texts[bit]], at = _read_short(received, at)
    return properties, headers


def _short(text: str) -> bytes:
    data = text.encode()
    return bytes([len(data)]) + data


def _read_short(received: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + received[at]
    return received[at + 1 : end].decode(), end


def _table(values: Mapping[str, str | bool]) -> bytes:
    parts = list[bytes]()
    for name, value in values.items():
        if isinstance(value, bool):
            parts.append(_short(name) + b"t" + bytes([value]))
        else:
            data = value.encode()
            parts.append(_short(name) + b"S" + struct.pack(">I", len(data)) + data)
    table = b"".join(parts)
    return struct.pack(">I", len(table)) + table


def _read_table(received: bytes, at: int, end: int) -> dict[str, str | bool]:
    values: dict[str, str | bool] = {}
    while at < end:
        name, at = _read_short(received, at)
        kind, at = received[at : at + 1], at + 1
        if kind == b"t":
            values[name], at = bool(received[at]), at + 1
        else:
            assert kind == b"S", kind
            (length,) = struct.unpack_from(">I", received, at)
            values[name] = received[at + 4 : at + 4 + length].decode()
            at += 4 + length
    return values

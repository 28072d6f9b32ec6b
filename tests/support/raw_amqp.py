"""A publisher that says what no library lets one say: content headers byte by byte."""

import socket
import struct
from dataclasses import dataclass
from typing import Final

import pamqp.frame
from pamqp import commands

from tests.support.rabbitmq import Rabbit

_HEADER, _BODY, _END = 2, 3, b"\xce"
_LONGEST: Final = 65536


def short(text: bytes) -> bytes:
    return struct.pack(">B", len(text)) + text


def table(*fields: bytes) -> bytes:
    inside = b"".join(fields)
    return struct.pack(">I", len(inside)) + inside


def field(name: bytes, kind: bytes, value: bytes) -> bytes:
    return short(name) + kind + value


@dataclass(frozen=True, slots=True, kw_only=True)
class Properties:
    """Those that tests spoil, as they go over the wire; None leaves one out."""

    content_type: bytes | None = b"application/xml"
    headers: bytes | None = None  # a table
    delivery_mode: int | None = 2
    correlation_id: bytes | None = None
    reply_to: bytes | None = None
    message_id: bytes | None = None
    timestamp: bytes | None = None  # 8 bytes
    user_id: bytes | None = None

    def written(self) -> bytes:
        values = (
            (1 << 15, self.content_type and short(self.content_type)),
            (1 << 13, self.headers),
            (1 << 12, None if self.delivery_mode is None else bytes([self.delivery_mode])),
            (1 << 10, self.correlation_id and short(self.correlation_id)),
            (1 << 9, self.reply_to and short(self.reply_to)),
            (1 << 7, self.message_id and short(self.message_id)),
            (1 << 6, self.timestamp),
            (1 << 4, self.user_id and short(self.user_id)),
        )
        present = [(flag, value) for flag, value in values if value is not None]
        return struct.pack(">H", sum(flag for flag, _ in present)) + b"".join(value for _, value in present)


def content_header(properties: Properties, size: int) -> bytes:
    """The frame before a body of so many bytes."""
    return _frame(_HEADER, struct.pack(">HHQ", 60, 0, size) + properties.written())


def publish(
    rabbit: Rabbit, vhost: str, user: str, body: bytes, properties: Properties, key: bytes = b"x"
) -> None:
    """Publishes to `gateway.in` and returns when the broker has confirmed it."""
    with socket.create_connection((rabbit.host, rabbit.port), timeout=20) as stream:
        stream.sendall(b"AMQP\x00\x00\x09\x01")
        _until(stream, commands.Connection.Start)
        login = f"\0{user}\0{user}"
        _say(stream, 0, commands.Connection.StartOk({}, "PLAIN", login, "en_US"))
        _until(stream, commands.Connection.Tune)
        _say(stream, 0, commands.Connection.TuneOk(2047, 131072, 0))
        _say(stream, 0, commands.Connection.Open(vhost))
        _until(stream, commands.Connection.OpenOk)
        _say(stream, 1, commands.Channel.Open())
        _until(stream, commands.Channel.OpenOk)
        _say(stream, 1, commands.Confirm.Select())
        _until(stream, commands.Confirm.SelectOk)
        # Basic.Publish: class 60, method 40, a number that is reserved, exchange, routing key, two bits.
        stream.sendall(_frame(1, struct.pack(">HHH", 60, 40, 0) + short(b"gateway.in") + short(key) + b"\0"))
        stream.sendall(content_header(properties, len(body)))
        for at in range(0, len(body), _LONGEST):
            stream.sendall(_frame(_BODY, body[at : at + _LONGEST]))
        _until(stream, commands.Basic.Ack)
        _say(stream, 0, commands.Connection.Close(200, "", 0, 0))


def _frame(kind: int, payload: bytes) -> bytes:
    return struct.pack(">BHI", kind, 1, len(payload)) + payload + _END


def _say(stream: socket.socket, channel: int, method: pamqp.frame.FrameTypes) -> None:
    stream.sendall(pamqp.frame.marshal(method, channel))


def _until(stream: socket.socket, kind: type) -> None:
    while True:
        head = _read(stream, 7)
        size = struct.unpack(">I", head[3:])[0]
        frame = pamqp.frame.unmarshal(head + _read(stream, size + 1))[2]
        if isinstance(frame, commands.Connection.Close | commands.Channel.Close):
            raise ConnectionError(frame.reply_text)
        if isinstance(frame, kind):
            return


def _read(stream: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size:
        more = stream.recv(size - len(got))
        if not more:
            raise ConnectionError("the broker has closed the connection")
        got += more
    return got

"""Makes the AMQP library read whatever senders may write into a message, and quickly.

AMQP's short strings and tables are bytes that the broker passes on unchecked. The library (pamqp) takes a
frame that it cannot decode for a broken connection: one such message would end the connection each time that
it is delivered, and count as a failed delivery of every other message on it. The library also copies the rest
of a table for each field in it, which takes quadratic time on the node's event loop. And it waits for the
network three times for each frame, though one piece from the network has many.
"""

import asyncio
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, Protocol

from aiormq import connection
from aiormq.exceptions import AMQPConnectionError, InvalidFrameError, ProtocolSyntaxError
from pamqp import decode
from pamqp.exceptions import PAMQPException
from pamqp.frame import unmarshal
from pamqp.heartbeat import Heartbeat

from adapters.transport.amqp.content import AROUND, UNFIT

# Replaces bytes that are not UTF-8 in a string; the key of a table that cannot be read.
UNREADABLE: Final = "\N{REPLACEMENT CHARACTER}"
_WITH_A_LENGTH: Final = (b"S", b"x", b"F", b"A")  # types of fields with a length; others have at most 8 bytes

_HEADER: Final = struct.Struct(">BHI")  # of a frame: type, channel, size
_PIECE: Final = 256 * 1024  # bytes
# A larger frame is not waited for: brokers send 128 KB at most unless they are told otherwise, and first
# their properties.
_LARGEST: Final = 64 * 1024 * 1024
_LARGEST_FIRST: Final = 128 * 1024

_END: Final = 0xCE  # the last byte of a frame
_HEARTBEAT: Final = (AROUND, 0, Heartbeat())

_read_time: Final = decode.timestamp


class FrameTaker(Protocol):
    """Takes frames of one channel before the library decodes them."""

    def take(self, kind: int, payload: bytes) -> bool:
        """Whether it has taken this one: otherwise the library gets it. Raises `InvalidFrameError`."""
        ...


_TAKERS: Final[ContextVar[Mapping[int, FrameTaker]]] = ContextVar("takers by channel")


@contextmanager
def taking(takers: Mapping[int, FrameTaker]) -> Iterator[None]:
    """A connection that is made in this context gives its frames to these takers, by the number of their
    channel; they may be added later."""
    token = _TAKERS.set(takers)
    try:
        yield
    finally:
        _TAKERS.reset(token)


def read_all_there_is() -> None:
    """Changes the library's reading for the whole process: frames are taken from the network in pieces, bytes
    that are not UTF-8 become `UNREADABLE`, a table that cannot be read becomes `{UNREADABLE: True}`, and an
    invalid time becomes None."""
    connection.FrameReceiver = _FrameReceiver  # type: ignore[misc]  # the class that its connections make
    decode.METHODS["shortstr"] = _short_string
    decode.METHODS["table"] = _table
    decode.METHODS["timestamp"] = _time
    decode.TABLE_MAPPING[b"S"] = _long_string
    decode.TABLE_MAPPING[b"F"] = _fields
    decode.TABLE_MAPPING[b"A"] = _array


class _FrameReceiver(connection.FrameReceiver):
    """Reads as much as has come, and gives its frames one after the other."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self._read = bytearray()
        self._at = 0  # where the next frame begins
        self._takers = _TAKERS.get({})

    async def get_frame(self) -> tuple[int, int, Any]:
        taken = False
        while True:
            while (whole := self._next()) is not None:
                kind, channel, _ = _HEADER.unpack_from(whole)
                taker = self._takers.get(channel)
                if taker is None or not taker.take(kind, whole[_HEADER.size : -1]):
                    return _unmarshalled(whole)
                taken = True
            del self._read[: self._at]
            self._at = 0
            if taken:
                # The library gives up a connection on which it sees nothing for some time.
                return _HEARTBEAT
            await self._more()

    def _next(self) -> bytes | None:
        """The next frame, if all of it has come."""
        if len(self._read) - self._at < _HEADER.size:
            return None
        if not self.started and self._read.startswith(b"AMQP"):
            raise ProtocolSyntaxError("Unexpected AMQP protocol header")
        size = _HEADER.unpack_from(self._read, self._at)[2]
        if size > (_LARGEST if self.started else _LARGEST_FIRST):
            self._read.clear()
            raise InvalidFrameError(f"a frame of {size} bytes")
        self.started = True
        end = self._at + _HEADER.size + size + 1
        if end > len(self._read):
            return None
        whole = bytes(memoryview(self._read)[self._at : end])
        if whole[-1] != _END:
            raise InvalidFrameError("a frame without its end")
        self._at = end
        return whole

    async def _more(self) -> None:
        if not self._read and self.reader.at_eof():
            raise StopAsyncIteration
        try:
            piece = await self.reader.read(_PIECE)
        except OSError as error:
            raise AMQPConnectionError(f"Server connection error: {error!r}") from error
        if not piece:
            raise AMQPConnectionError("Server connection unexpectedly closed")
        self._read += piece


def _unmarshalled(frame: bytes) -> tuple[int, int, Any]:
    try:
        return unmarshal(frame)
    except PAMQPException as error:
        raise InvalidFrameError(str(error)) from error


def _short_string(value: bytes) -> tuple[int, str]:
    end = 1 + value[0]
    return end, value[1:end].decode("utf-8", "replace")


def _long_string(value: bytes) -> tuple[int, str]:
    end = 4 + int(struct.unpack_from(">I", value)[0])
    return end, value[4:end].decode("utf-8", "replace")


def _table(value: bytes) -> tuple[int, Any]:
    return 4 + struct.unpack_from(">I", value)[0], read_table(value)


def read_table(value: bytes) -> dict[str, Any]:
    """The fields of a table with its length before it; `{UNREADABLE: True}` if it cannot be read."""
    try:
        return _fields(value)[1]
    except UNFIT:
        return {UNREADABLE: True}


def _fields(value: bytes) -> tuple[int, dict[str, Any]]:
    fields, at, end = dict[str, Any](), 4, _end(value)
    while at < end:
        name = value[at + 1 : (after := at + 1 + value[at])].decode()
        at, fields[name] = _field(value, after, end)
    return end, fields


def _array(value: bytes) -> tuple[int, list[Any]]:
    fields, at, end = list[Any](), 4, _end(value)
    while at < end:
        at, field = _field(value, at, end)
        fields.append(field)
    return end, fields


def _end(value: bytes) -> int:
    end = 4 + int(struct.unpack_from(">I", value)[0])
    if end > len(value):
        raise ValueError("a table or an array is cut short")
    return end


def _field(value: bytes, at: int, end: int) -> tuple[int, Any]:
    """The offset of the next field, and the value of this one. The library gets only this field's bytes."""
    kind = value[at : at + 1]
    if kind == b"S":  # as most are
        after = at + 5 + int(struct.unpack_from(">I", value, at + 1)[0])
        if after > end:
            raise ValueError("a field is cut short")
        return after, value[at + 5 : after].decode("utf-8", "replace")
    longest = 4 + int(struct.unpack_from(">I", value, at + 1)[0]) if kind in _WITH_A_LENGTH else 8
    consumed, field = decode.embedded_value(value[at : min(at + 1 + longest, end)])
    if not 0 < consumed <= end - at:
        raise ValueError("a field is cut short")
    return at + consumed, field


def _time(value: bytes) -> tuple[int, Any]:
    try:
        return _read_time(value)
    except (ValueError, OverflowError, OSError):
        return 8, None

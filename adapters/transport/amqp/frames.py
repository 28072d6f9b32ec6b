"""Makes the AMQP library read whatever senders may write into a message, and quickly, and tells what it can
write.

AMQP's short strings and tables are bytes that the broker passes on unchecked. The library (pamqp) takes a
frame that it cannot decode for a broken connection: one such message would end the connection each time that
it is delivered, and count as a failed delivery of every other message on it. The library also copies the rest
of a table for each field in it, which takes quadratic time on the node's event loop. And it waits for the
network three times for each frame, though one piece from the network has many.
"""

import asyncio
import struct
from typing import Any, Final

from aiormq import connection
from aiormq.exceptions import AMQPConnectionError, InvalidFrameError, ProtocolSyntaxError
from pamqp import decode
from pamqp.commands import Basic
from pamqp.exceptions import PAMQPException
from pamqp.frame import unmarshal

# Replaces bytes that are not UTF-8 in a string; the key of a table that cannot be read.
UNREADABLE: Final = "\N{REPLACEMENT CHARACTER}"

_AROUND_PROPERTIES: Final = 20  # bytes of the frame and of the content header
_WITH_A_LENGTH: Final = (b"S", b"x", b"F", b"A")  # types of fields with a length; others have at most 8 bytes
_UNFIT: Final = (ValueError, OverflowError, OSError, RecursionError, IndexError, TypeError, struct.error)

_HEADER: Final = struct.Struct(">BHI")  # of a frame: type, channel, size
_PIECE: Final = 256 * 1024  # bytes
# A larger frame is not waited for: brokers send 128 KB at most unless they are told otherwise, and first
# their properties.
_LARGEST: Final = 64 * 1024 * 1024
_LARGEST_FIRST: Final = 128 * 1024

_read_time: Final = decode.timestamp


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


def can_be_written(properties: Basic.Properties, frame_max: int) -> bool:
    """Whether the properties of a message can be encoded, and fit into one frame of at most `frame_max` bytes
    (0: no limit): the broker ends the connection for a larger one. Not all properties that were read can be
    written again; a text that was not UTF-8, for example, becomes longer."""
    try:
        size = len(properties.marshal())
    except (TypeError, ValueError, OverflowError, struct.error, RecursionError):
        return False
    return not frame_max or size + _AROUND_PROPERTIES <= frame_max


class _FrameReceiver(connection.FrameReceiver):
    """Reads as much as has come, and gives its frames one after the other."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self._read = bytearray()
        self._at = 0  # where the next frame begins

    async def get_frame(self) -> tuple[int, int, Any]:
        while True:
            if len(self._read) - self._at >= _HEADER.size:
                if not self.started and self._read.startswith(b"AMQP"):
                    raise ProtocolSyntaxError("Unexpected AMQP protocol header")
                size = _HEADER.unpack_from(self._read, self._at)[2]
                if size > (_LARGEST if self.started else _LARGEST_FIRST):
                    self._read.clear()
                    raise InvalidFrameError(f"a frame of {size} bytes")
                self.started = True
                end = self._at + _HEADER.size + size + 1
                if end <= len(self._read):
                    whole = bytes(memoryview(self._read)[self._at : end])
                    self._at = end
                    return _unmarshalled(whole)
            del self._read[: self._at]
            self._at = 0
            await self._more()

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
    try:
        return _fields(value)
    except _UNFIT:
        return 4 + struct.unpack_from(">I", value)[0], {UNREADABLE: True}


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

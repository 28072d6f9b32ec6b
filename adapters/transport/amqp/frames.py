"""What senders may write into a message and the library cannot read, as a broken line would be read, and what
it cannot write again.

AMQP's short strings are bytes, and so is what stands in a table; the broker passes on what it is given. The
library (pamqp) takes a frame that it cannot decode for a broken line: one such message would end the
connection each time that it is given, and count against everything that was given beside it. And it copies
all that is left of a table for each field in it, which takes the square of its length on the node's own loop.
"""

import struct
from typing import Any, Final

import aio_pika
from pamqp import decode

# Stands in a string that is no UTF-8, and in a table that cannot be read.
UNREADABLE: Final = "\N{REPLACEMENT CHARACTER}"

_AROUND_PROPERTIES: Final = 20  # bytes of the frame and of the content header
_WITH_A_LENGTH: Final = (b"S", b"x", b"F", b"A")  # kinds of fields; all others have 8 bytes at most
_UNFIT: Final = (ValueError, OverflowError, OSError, RecursionError, IndexError, TypeError, struct.error)

_read_time: Final = decode.timestamp


def read_all_there_is() -> None:
    """From now on, in this process: a string that is no UTF-8 holds `UNREADABLE`, a table that cannot be read
    is `{UNREADABLE: True}`, and a time that is none is left out."""
    decode.METHODS["shortstr"] = _short_string
    decode.METHODS["table"] = _table
    decode.METHODS["timestamp"] = _time
    decode.TABLE_MAPPING[b"S"] = _long_string
    decode.TABLE_MAPPING[b"F"] = _fields
    decode.TABLE_MAPPING[b"A"] = _array


def can_be_written(message: aio_pika.Message, frame_max: int) -> bool:
    """Whether the properties of a message can be written down, in one frame: over a larger one the broker
    ends the connection. Not all that is read can be: a text that was no UTF-8 is longer, a number rounder."""
    try:
        size = len(message.properties.marshal())
    except (TypeError, ValueError, OverflowError, struct.error, RecursionError):
        return False
    return not frame_max or size + _AROUND_PROPERTIES <= frame_max


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
    """Where the next one begins, and what this one holds. The library is given no more than is its own."""
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

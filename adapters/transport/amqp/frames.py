"""Makes the AMQP library read whatever senders may write into a message, and tells what it can write.

AMQP's short strings and tables are bytes that the broker passes on unchecked. The library (pamqp) takes a
frame that it cannot decode for a broken connection: one such message would end the connection each time that
it is delivered, and count as a failed delivery of every other message on it. The library also copies the rest
of a table for each field in it, which takes quadratic time on the node's event loop.
"""

import struct
from typing import Any, Final

import aio_pika
from pamqp import decode

# Replaces bytes that are not UTF-8 in a string; the key of a table that cannot be read.
UNREADABLE: Final = "\N{REPLACEMENT CHARACTER}"

_AROUND_PROPERTIES: Final = 20  # bytes of the frame and of the content header
_WITH_A_LENGTH: Final = (b"S", b"x", b"F", b"A")  # types of fields with a length; others have at most 8 bytes
_UNFIT: Final = (ValueError, OverflowError, OSError, RecursionError, IndexError, TypeError, struct.error)

_read_time: Final = decode.timestamp


def read_all_there_is() -> None:
    """Changes the library's decoding for the whole process: bytes that are not UTF-8 become `UNREADABLE`, a
    table that cannot be read becomes `{UNREADABLE: True}`, and an invalid time becomes None."""
    decode.METHODS["shortstr"] = _short_string
    decode.METHODS["table"] = _table
    decode.METHODS["timestamp"] = _time
    decode.TABLE_MAPPING[b"S"] = _long_string
    decode.TABLE_MAPPING[b"F"] = _fields
    decode.TABLE_MAPPING[b"A"] = _array


def can_be_written(message: aio_pika.Message, frame_max: int) -> bool:
    """Whether the properties of a message can be encoded, and fit into one frame of at most `frame_max` bytes
    (0: no limit): the broker ends the connection for a larger one. Not all properties that were read can be
    written again; a text that was not UTF-8, for example, becomes longer."""
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

"""The trace of a message across systems: the header `traceparent` (W3C Trace Context, level 1).

The trace id of a message is the number of its id, and the id of its first span is the random half of that
number, so that both follow from the message's id.
"""

import re
from dataclasses import dataclass
from typing import Final

from gateway.model.message import message_of, number_of

TRACEPARENT: Final = "traceparent"
_HALF: Final = (1 << 64) - 1
_FORM: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Parent:
    """The sender's span in which a message was handed to us."""

    trace: int
    span: int


def parent_in(header: object) -> Parent | None:
    """The span that a header names; None for an invalid header, which is no fault of the message."""
    match = _FORM.fullmatch(header) if isinstance(header, str) else None
    if match is None:
        return None
    parent = Parent(int(match[1], 16), int(match[2], 16))
    return parent if parent.trace and parent.span else None


def root_span(number: int) -> int:
    """The id of a message's first span. It must not be 0."""
    return number & _HALF or 1


def traceparent(key: str) -> str:
    """The header value sent with a submission: the trace of its message."""
    number = number_of(message_of(key))
    return f"00-{number:032x}-{root_span(number):016x}-01"

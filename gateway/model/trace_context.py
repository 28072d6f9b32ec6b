"""The trace of a message as it goes from hand to hand: the header `traceparent` (W3C Trace Context, level 1).

The id of a message's trace is the number of its id, and that of its first span the random half of that, so
that whoever knows the message knows both.
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
    """The span in which somebody handed a message over to us."""

    trace: int
    span: int


def parent_in(said: object) -> Parent | None:
    """The span that a header names; None for what is none, since no message is worse for that."""
    found = _FORM.fullmatch(said) if isinstance(said, str) else None
    if found is None:
        return None
    parent = Parent(int(found[1], 16), int(found[2], 16))
    return parent if parent.trace and parent.span else None


def root_span(number: int) -> int:
    """That of a message's first span. It must not be 0."""
    return number & _HALF or 1


def traceparent(key: str) -> str:
    """What is handed on with a submission: the trace of its message."""
    number = number_of(message_of(key))
    return f"00-{number:032x}-{root_span(number):016x}-01"

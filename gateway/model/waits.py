"""What a message waits for: a named thing, and its description for the sender and for operators.

The description does not name the party that a file belongs to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from gateway.model.china import moment_zh
from gateway.model.faults import Fault, Finding, Severity, finding
from gateway.model.file_names import spelling


@dataclass(frozen=True, slots=True)
class Words:
    zh: str
    en: str

    def __add__(self, other: "Words") -> "Words":
        return Words(self.zh + other.zh, f"{self.en} {other.en}")


class AwaitedKind(StrEnum):
    """The kinds of things, by what names them: the number of an agreement, or of several of which one will
    do; trader and broker of a mandate; party and file of a document, and of the declaration that lists it;
    the message of another version."""

    AGREEMENT = "agreement"
    ONE_OF_AGREEMENTS = "agreements"
    MANDATE = "mandate"
    DOCUMENT = "document"
    DECLARATION = "declaration"
    VERSION = "version"


_OF_A_FILE: Final = (AwaitedKind.DOCUMENT, AwaitedKind.DECLARATION)


@dataclass(frozen=True, slots=True)
class Awaited:
    """A thing that a message waits for. `str` is the text that is stored and shown, `read` the way back."""

    kind: AwaitedKind
    names: tuple[str, ...]

    @classmethod
    def agreements(cls, numbers: Sequence[str]) -> "Awaited":
        """One of these agreements, or the only one."""
        kind = AwaitedKind.AGREEMENT if len(numbers) == 1 else AwaitedKind.ONE_OF_AGREEMENTS
        return cls(kind, tuple(numbers))

    @classmethod
    def mandate(cls, trader: str, broker: str) -> "Awaited":
        return cls(AwaitedKind.MANDATE, (trader, broker))

    @classmethod
    def document(cls, party: str, file: str) -> "Awaited":
        return cls(AwaitedKind.DOCUMENT, (party, file))

    @classmethod
    def declaration(cls, party: str, file: str) -> "Awaited":
        """The one that lists the file."""
        return cls(AwaitedKind.DECLARATION, (party, file))

    @classmethod
    def read(cls, text: str) -> "Awaited | None":
        """None for a text that names no such thing, such as what an answer of customs waits for."""
        word, _space, rest = text.partition(" ")
        if word not in set(AwaitedKind):
            return None
        kind = AwaitedKind(word)
        return cls(kind, tuple(rest.split(" ", 1) if kind in _OF_A_FILE else rest.split()))

    def __str__(self) -> str:
        return " ".join((self.kind, *self.names))

    @property
    def is_for_one(self) -> bool:
        """Whether only one of several messages that wait for it can have it; a mandate serves all of them."""
        return self.kind is not AwaitedKind.MANDATE

    @property
    def spelling(self) -> str | None:
        """The key for looking up a thing with a file name: the same for names that are spelt alike
        (`file_names`). None for any other thing, which is looked up by its exact name."""
        if self.kind not in _OF_A_FILE:
            return None
        party, file = self.names
        return f"{self.kind} {party} {spelling(file)}"


def joined(several: Sequence[Words]) -> Words | None:
    """Several descriptions as one; None if there are none."""
    return (
        Words("；".join(each.zh for each in several), "; ".join(each.en for each in several))
        if several
        else None
    )


def in_words(awaited: Awaited) -> Words:
    match awaited.kind:
        case AwaitedKind.AGREEMENT | AwaitedKind.ONE_OF_AGREEMENTS:
            return Words(f"委托协议 {'、'.join(awaited.names)}", f"agreement {' or '.join(awaited.names)}")
        case AwaitedKind.MANDATE:
            trader, broker = awaited.names
            return Words(
                f"境内收发货人 {trader} 与申报单位 {broker} 之间的代理报关委托书",
                f"a mandate between {trader} and {broker}",
            )
        case AwaitedKind.DOCUMENT:
            return Words(f"随附单据 {awaited.names[1]}", f"document {awaited.names[1]}")
        case AwaitedKind.DECLARATION:
            return Words(f"列明 {awaited.names[1]} 的报关单", f"declaration that lists {awaited.names[1]}")
        case AwaitedKind.VERSION:
            return Words(
                f"同一编号的报文 {awaited.names[0]}", f"message {awaited.names[0]} of the same reference"
            )


def text_in_words(text: str) -> Words:
    """The description of a stored text; the text itself where it names no such thing."""
    awaited = Awaited.read(text)
    return Words(text, text) if awaited is None else in_words(awaited)


def waits_for(awaited: Awaited, until: datetime, *, file: str | None = None) -> Finding:
    """The finding for the sender of a message that waits."""
    words = in_words(awaited)
    return finding(
        Fault.AWAITED,
        detail=f"{words.en}, until {until:%Y-%m-%d %H:%M} UTC",
        detail_zh=f"{words.zh}，最迟至{moment_zh(until)}",
        severity=Severity.WARNING,
        file=file,
    )

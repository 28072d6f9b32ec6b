"""What a message waits for, in words: for its sender, and for operators.

A thing is named by its kind and then by what tells it from others of its kind: the number of an agreement,
trader and broker of a mandate, the party and the file's name of a document and of the declaration that
lists it. Whose file it is, its sender need not be told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.model.china import moment_zh
from gateway.model.faults import Fault, Finding, Severity, finding
from gateway.model.file_names import spelling


@dataclass(frozen=True, slots=True)
class Words:
    zh: str
    en: str

    def __add__(self, other: "Words") -> "Words":
        return Words(self.zh + other.zh, f"{self.en} {other.en}")


def spelt(thing: str) -> str | None:
    """By what a thing is looked for that has a file's name in it: the same for names that are spelt alike
    (`file_names`). None for any other thing, which is looked for as it is named."""
    kind, _space, name = thing.partition(" ")
    if kind not in ("document", "declaration"):
        return None
    party, _space, file = name.partition(" ")
    return f"{kind} {party} {spelling(file)}"


def joined(told: Sequence[Words]) -> Words | None:
    """Several as one; None of none."""
    return Words("；".join(each.zh for each in told), "; ".join(each.en for each in told)) if told else None


def in_words(thing: str) -> Words:
    """The thing itself where its kind has no words."""
    kind, _space, name = thing.partition(" ")
    first, _space, second = name.partition(" ")
    match kind:
        case "agreement":
            return Words(f"委托协议 {name}", f"agreement {name}")
        case "agreements":
            return Words(f"委托协议 {'、'.join(name.split())}", f"agreement {' or '.join(name.split())}")
        case "mandate":
            return Words(
                f"境内收发货人 {first} 与申报单位 {second} 之间的代理报关委托书",
                f"a mandate between {first} and {second}",
            )
        case "document":
            return Words(f"随附单据 {second}", f"document {second}")
        case "version":
            return Words(f"同一编号的报文 {name}", f"message {name} of the same reference")
        case "declaration":
            return Words(f"列明 {second} 的报关单", f"declaration that lists {second}")
    return Words(thing, thing)


def awaited(thing: str, until: datetime, *, file: str | None = None) -> Finding:
    """What the sender of a message that waits is told."""
    words = in_words(thing)
    return finding(
        Fault.AWAITED,
        detail=f"{words.en}, until {until:%Y-%m-%d %H:%M} UTC",
        detail_zh=f"{words.zh}，最迟至{moment_zh(until)}",
        severity=Severity.WARNING,
        file=file,
    )

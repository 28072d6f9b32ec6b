"""The catalogue of faults: everything a sender can be told, in Chinese and English, under a stable code.

Three outcomes of trouble and only three: `MessageRejected` is the sender's to mend and goes into the receipt,
`JudgementDeferred` is tried again by itself, and any other exception is ours: the message is held and the
sender learns nothing of our insides. `docs/faults.md` is generated from this catalogue and the rule sets.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.model.fault_catalogue import Fault as Fault

LONGEST_VALUE: Final = 80  # characters of what a sender wrote that a finding shows


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a fault is: whichever of these are known. `line` counts from 1."""

    file: str | None = None
    line: int | None = None
    xpath: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fault at one place, ready for a receipt: both sentences filled, the value fit to be shown."""

    code: str
    zh: str
    en: str
    severity: Severity = Severity.ERROR
    rule: str | None = None
    place: Place = Place()
    value: str | None = None


def finding(
    fault: Fault,
    *,
    detail: str = "",
    detail_zh: str | None = None,
    rule: str | None = None,
    severity: Severity = Severity.ERROR,
    file: str | None = None,
    line: int | None = None,
    xpath: str | None = None,
    value: str | None = None,
) -> Finding:
    """A finding from the catalogue; `value` is the sender's: whoever takes it from a
    document asks `gateway.model.shown`, which masks what is personal."""
    return Finding(
        code=fault.code,
        zh=fault.zh.replace("{detail}", printable(detail if detail_zh is None else detail_zh)),
        en=fault.en.replace("{detail}", printable(detail)),
        severity=severity,
        rule=rule,
        place=Place(file=None if file is None else printable(file), line=line, xpath=xpath),
        value=None if value is None else printable(value, LONGEST_VALUE),
    )


def printable(text: str, longest: int = 300) -> str:
    """Text of the sender's made fit for a receipt, a table and a log line: no control characters, bounded.

    Characters that XML 1.0 (section 2.2) cannot carry are shown by their code point.
    """
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    return "".join(c if c.isprintable() else f"\\u{{{ord(c):x}}}" for c in cut)


def too_large(fault: Fault, size: int, limit: int, *, file: str | None = None) -> Finding:
    """A finding of something that is larger, in bytes, than it may be."""
    said = f"{in_bytes(size)}，上限 {in_bytes(limit)}"
    return finding(fault, detail=f"{size} > {limit}", detail_zh=said, file=file)


def in_bytes(count: int) -> str:
    """A number of bytes as people say it, rounded up, so that what is above a limit looks so."""
    for unit, size in (("MB", 1024 * 1024), ("KB", 1024)):
        if count >= size:
            return f"{-(-count * 100 // size) / 100:g} {unit}"
    return f"{count} 字节"


class MessageRejected(Exception):
    """The sender's to mend. Carries at least one finding."""

    def __init__(self, findings: Finding | Iterable[Finding]) -> None:
        self.findings = (findings,) if isinstance(findings, Finding) else tuple(findings)
        super().__init__(", ".join(found.code for found in self.findings))


class JudgementDeferred(Exception):
    """Not now; judged again by itself after `seconds`. The reason is for operators."""

    def __init__(self, reason: str, seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.seconds = seconds

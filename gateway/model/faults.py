"""The catalogue of faults: every fault that a sender can be notified of, in Chinese and English, under a
stable code.

There are exactly three kinds of failure: `MessageRejected` is the sender's to correct and goes into the
receipt; `JudgementDeferred` is retried automatically; any other exception is our own failure: the message is
held, and the sender gets no internal details. `docs/faults.md` is generated from this catalogue and the rule
sets.
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
    """The place of a fault, as far as it is known. `line` counts from 1."""

    file: str | None = None
    line: int | None = None
    xpath: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fault at one place, ready for a receipt: both sentences are filled, and the value may be shown."""

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
    """A finding from the catalogue; `value` is the sender's: a value from a document must
    go through `gateway.model.shown`, which masks personal data."""
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
    """The sender's text, made safe for a receipt, a table and a log line: no control characters, limited
    length.

    Characters that XML 1.0 (section 2.2) cannot carry are shown by their code point.
    """
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    return "".join(c if c.isprintable() else f"\\u{{{ord(c):x}}}" for c in cut)


def too_large(fault: Fault, size: int, limit: int, *, file: str | None = None) -> Finding:
    """A finding for something that is larger than its limit; sizes are in bytes."""
    zh = f"{in_bytes(size)}，上限 {in_bytes(limit)}"
    return finding(fault, detail=f"{size} > {limit}", detail_zh=zh, file=file)


def in_bytes(count: int) -> str:
    """A number of bytes for people to read, rounded up, so that a size above a limit also reads as above
    it."""
    for unit, size in (("MB", 1024 * 1024), ("KB", 1024)):
        if count >= size:
            return f"{-(-count * 100 // size) / 100:g} {unit}"
    return f"{count} 字节"


class MessageRejected(Exception):
    """A fault that the sender has to correct. Carries at least one finding."""

    def __init__(self, findings: Finding | Iterable[Finding]) -> None:
        self.findings = (findings,) if isinstance(findings, Finding) else tuple(findings)
        super().__init__(", ".join(finding.code for finding in self.findings))


class JudgementDeferred(Exception):
    """The message cannot be judged now; it is judged again automatically after `seconds`. The reason is for
    operators."""

    def __init__(self, reason: str, seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.seconds = seconds

"""Tables for a terminal: within its width, times in China, values unbroken so that they can be copied."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from rich.cells import cell_len

from gateway.model.china import CHINA
from gateway.model.faults import printable

_GAP: Final = "  "
_NOTHING: Final = "-"


def laid_out(rows: Sequence[Sequence[object]], names: Sequence[str], width: int, zone: str) -> list[str]:
    """A heading, and a line for each row with as many columns as fit into `width`. The others follow below
    their row with their names, without empty ones. The heading of a column of times names the zone."""
    texts = [[in_words(value) for value in row] for row in rows]
    heads = [
        f"{name} {zone}" if any(instant(row[place]) is not None for row in rows) else name
        for place, name in enumerate(names)
    ]
    widths = [
        max(cell_len(each) for each in (head, *column))
        for head, column in zip(heads, zip(*texts, strict=True) if texts else [()] * len(heads), strict=True)
    ]
    fit = _fitting(widths, width)
    lines = [_line(heads[:fit], widths)]
    for row in texts:
        lines.append(_line(row[:fit], widths))
        rest = zip(heads[fit:], row[fit:], strict=True)
        lines += _below([f"{head} {text}" for head, text in rest if text != _NOTHING], width)
    return lines


def in_words(value: object) -> str:
    """One value as text that is safe for a terminal."""
    if value in (None, "", []):
        return _NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return printable(", ".join(str(item) for item in value))
    if isinstance(value, dict):
        pairs = (f"{name.replace('_', ' ')} {each}" for name, each in value.items() if each not in (None, ""))
        return printable(", ".join(pairs))
    at = instant(value)
    return printable(str(value)) if at is None else at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")


def instant(value: object) -> datetime | None:
    """The value as a time, if it is one with a zone."""
    if not isinstance(value, str) or len(value) < len("2026-11-30T00:00:00Z") or value[10] != "T":
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return None if at.tzinfo is None else at


def _fitting(widths: Sequence[int], width: int) -> int:
    """How many columns fit; at least the first."""
    used, fit = 0, 0
    for each in widths:
        used += each + (len(_GAP) if fit else 0)
        if fit and used > width:
            break
        fit += 1
    return fit


def _line(texts: Sequence[str], widths: Sequence[int]) -> str:
    padded = (text + " " * (wide - cell_len(text)) for text, wide in zip(texts, widths, strict=False))
    return _GAP.join(padded).rstrip()


def _below(texts: Sequence[str], width: int) -> list[str]:
    """Puts as many on a line as fit, without breaking any."""
    lines: list[str] = []
    for each in texts:
        joined = f"{lines[-1]}; {each}" if lines else ""
        if joined and cell_len(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(f"    {each}")
    return lines

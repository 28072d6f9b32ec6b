"""The documents that a declaration owes (docs/reform.md, R4), when they are due, and why they are asked
for."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway.model.reform import Due


@dataclass(frozen=True, slots=True, kw_only=True)
class Obligation:
    """The documents that a declaration owes: which classes, when, and by which announcement."""

    due: Due
    documents: tuple[str, ...]
    sources: tuple[str, ...]
    sources_zh: tuple[str, ...] = ()

    def missing(self, present: Collection[str]) -> tuple[str, ...]:
        """The demanded classes that are not in `present`."""
        return tuple(code for code in self.documents if code not in present)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """`due_at` is the last second of a day; documents that are missing after it are overdue. `remind_at` is
    when the next reminder is sent."""

    due_at: datetime
    remind_at: datetime


class RequestReason(StrEnum):
    DUE = "due"  # after release, the first request
    REMINDER = "reminder"
    OVERDUE = "overdue"
    SUPPLEMENT = "supplement"  # customs asks
    PAPER = "paper"  # customs asks, on site

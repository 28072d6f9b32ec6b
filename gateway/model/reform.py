"""The reform's tables as policy: who may go paperless, which documents are due when, at what risk.

Every row has the days on which it is in force (China time, both inclusive) and its source; the rows in force
on the day of receipt decide. `config/policy.toml` holds them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from gateway.model.china import day_zh
from gateway.model.parties import TraderClass


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    since: date = Field(description="first day in force")
    until: date | None = Field(None, description="last day in force; open where left out")
    source: str = Field(description="announcement and clause")
    source_zh: str = Field("", description="the same in Chinese; the source as it is where left out")


Row = TypeVar("Row", bound=_Row)


def in_force(rows: Iterable[Row], day: date) -> tuple[Row, ...]:
    return tuple(row for row in rows if row.since <= day and (row.until is None or day <= row.until))


def sources(rows: Iterable[_Row]) -> str:
    """The announcements of these rows, each with the day from which the row is in force."""
    return "; ".join(dict.fromkeys(f"{row.source}, since {row.since}" for row in rows)) or "-"


def sources_zh(rows: Iterable[_Row]) -> str:
    """The same in Chinese."""
    announcements = (f"{row.source_zh or row.source}，自{day_zh(row.since)}起施行" for row in rows)
    return "；".join(dict.fromkeys(announcements)) or "-"


class EligibleClass(_Row):
    """A class whose enterprises may go paperless (docs/reform.md, R6, R7)."""

    classes: tuple[TraderClass, ...]


class Scope(_Row):
    """Traffic that may go paperless in a phase (R7); a condition that is left out matches anything."""

    district: tuple[str, ...] = Field((), description="district of the customs office, as 0200")
    direction: tuple[str, ...] = ()
    transport: tuple[str, ...] = ()
    partner: tuple[str, ...] = Field((), description="country or region of departure or arrival")
    transit: bool | None = None

    def covers(self, traffic: "Traffic") -> bool:
        conditions = (
            (self.district, traffic.district),
            (self.direction, traffic.direction),
            (self.transport, traffic.transport),
            (self.partner, traffic.partner),
        )
        fits = all(not allowed or value in allowed for allowed, value in conditions)
        return fits and self.transit in (None, traffic.transit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """The facts of a declaration that the tables use. `district` is that of its office, as 0200 for office
    0202."""

    paperless: bool
    district: str
    direction: str
    transport: str
    trade_mode: str
    partner: str
    transit: bool

    @classmethod
    def from_facts(cls, facts: Mapping[str, str], policy: "ReformPolicy") -> Self:
        """From the facts of a declaration, by the names that profiles give them (docs/formats.md)."""
        return cls(
            paperless=facts.get("entry_type", "") in policy.paperless_types,
            district=facts.get("office", "")[:2] + "00",
            direction=facts.get("direction", ""),
            transport=facts.get("transport", ""),
            trade_mode=facts.get("trade_mode", ""),
            partner=facts.get("trade_country", ""),
            transit=facts.get("transit", "0") == "1",
        )


class Demand(_Row):
    """Document classes that are demanded; classes that the table omits are sent only when customs asks
    (R3)."""

    direction: tuple[str, ...] = ()
    processing: bool | None = Field(
        None, description="true: only processing trade and bonded; false: all other"
    )
    documents: tuple[str, ...]


class DocumentName(BaseModel):
    """The name of a document class."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    zh: str = Field(description="what the document class NAME is called in Chinese")
    en: str = Field(description="and in English")


class Due(StrEnum):
    """When documents are due (docs/reform.md, R4)."""

    WITH = "with"
    AFTER_RELEASE = "after-release"
    KEPT = "kept"


class DueRow(_Row):
    """When documents are due: the first row that matches the trader's class and fitness to keep papers
    applies."""

    classes: tuple[TraderClass, ...]
    keeps_papers: bool | None = None
    due: Due


class Risk(StrEnum):
    LOW = "low"
    UNKNOWN = "unknown"
    HIGH = "high"


class TriageRow(_Row):
    """Risk by class of trader and broker (docs/reform.md, R8); the first row that matches applies. Empty
    matches any class."""

    trader: tuple[TraderClass, ...] = ()
    broker: tuple[TraderClass, ...] = ()
    risk: Risk


class InspectionRow(_Row):
    """The rate of inspection of a trader's class: low, normal or high."""

    trader: tuple[TraderClass, ...]
    rate: str


class ReformPolicy(BaseModel):
    """Section `[reform]` of the policy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    paperless_types: tuple[str, ...] = Field((), description="EntryType values that are paperless")
    processing_modes: tuple[str, ...] = Field(
        (), description="trade modes of processing trade and bonded goods"
    )
    after_release_days: int = Field(10, ge=1, description="days after release in which documents are due")
    unknown_as_high: float = Field(0.0, ge=0, le=1, description="share of unknown risk treated as high")
    seed: str = Field("", description="makes the drawn share reproducible")
    eligible: tuple[EligibleClass, ...] = Field((), description="rows: classes that may go paperless")
    scope: tuple[Scope, ...] = Field((), description="rows: traffic that may go paperless")
    documents: dict[str, DocumentName] = Field(
        default_factory=dict, description="names of the document classes that are demanded"
    )
    demand: tuple[Demand, ...] = Field((), description="rows: document classes that are demanded")
    due: tuple[DueRow, ...] = Field((), description="rows: when documents are due, by class of the trader")
    triage: tuple[TriageRow, ...] = Field((), description="rows: risk, by class of trader and broker")
    inspection: tuple[InspectionRow, ...] = Field((), description="rows: rate of inspection, by class")

"""Records that customs has from other systems (docs/reform.md, R14): duties, payments, licences, manuals and
manifests.

Each kind is a small ledger. One field identifies a record, so that entering a record again replaces it, and a
file may be imported twice.
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _written_day(text: str | date) -> date:
    if isinstance(text, date):
        return text
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is no day: year-month-day, as in 2026-11-01") from None


Number = Annotated[str, Field(min_length=1, max_length=64)]
Money = Annotated[Decimal, Field(ge=0, max_digits=19, decimal_places=5)]
Day = Annotated[date, BeforeValidator(_written_day)]
Tariff = Annotated[str, Field(pattern=r"^[0-9]{2,13}$")]


class Kind(StrEnum):
    DUTIES = "duties"
    PAYMENTS = "payments"
    LICENCES = "licences"
    MANUALS = "manuals"
    MANIFESTS = "manifests"


class CustomsRecord(BaseModel):
    """`identity` is the name of the field that identifies a record, `subject` of the one it is found by."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    identity: ClassVar[str]
    subject: ClassVar[str]

    @property
    def number(self) -> str:
        return str(getattr(self, self.identity))

    @property
    def about(self) -> str:
        return str(getattr(self, self.subject))


class Duty(CustomsRecord):
    """The duty on goods whose tariff code begins with `tariff`: a `rate` in percent of the declared total, or
    an `amount` for each tariff code. The longest matching prefix counts."""

    identity: ClassVar[str] = "tariff"
    subject: ClassVar[str] = "tariff"

    tariff: Tariff
    rate: Annotated[Decimal, Field(ge=0, le=1000, max_digits=9)] | None = None
    amount: Money | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "Duty":
        if (self.rate is None) is (self.amount is None):
            raise ValueError("either a rate or an amount")
        return self


class Payment(CustomsRecord):
    """A payment of duty. `entry` is the entry number, the unified number (SeqNo) or the declarant's
    reference. Several payments for an entry add up; entering one again replaces its amount."""

    identity: ClassVar[str] = "payment"
    subject: ClassVar[str] = "entry"

    payment: Number
    entry: Number
    amount: Money


class Licence(CustomsRecord):
    """A licence of a trader (customs code or social credit code), restricted to a tariff prefix if it has
    one."""

    identity: ClassVar[str] = "licence"
    subject: ClassVar[str] = "licence"

    licence: Number
    trader: Number
    until: Day
    tariff: Tariff | None = None


class Manual(CustomsRecord):
    """A processing-trade manual of a trader."""

    identity: ClassVar[str] = "manual"
    subject: ClassVar[str] = "manual"

    manual: Number
    trader: Number
    until: Day


class Manifest(CustomsRecord):
    """The carrier's data of a bill of lading."""

    identity: ClassVar[str] = "bill"
    subject: ClassVar[str] = "bill"

    bill: Number
    packages: Annotated[int, Field(ge=0)]
    gross_weight: Money


FORMS: Final[Mapping[Kind, type[CustomsRecord]]] = {
    Kind.DUTIES: Duty,
    Kind.PAYMENTS: Payment,
    Kind.LICENCES: Licence,
    Kind.MANUALS: Manual,
    Kind.MANIFESTS: Manifest,
}


def columns(kind: Kind) -> tuple[str, ...]:
    """The fields of a record, which are the columns of its file."""
    return tuple(FORMS[kind].model_fields)


def record(kind: Kind, cells: Mapping[str, str]) -> CustomsRecord:
    """A record from text; empty cells are ignored. Raises `pydantic.ValidationError`."""
    return FORMS[kind].model_validate({name: cell for name, cell in cells.items() if cell.strip()})

"""The checked fields of a party in files, and complete error messages."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Annotated, Final, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    ValidationError,
    model_validator,
)

from gateway.config.settings import complaint
from gateway.families.rule_functions import is_organisation_code, is_scc
from gateway.model.parties import Role, TraderClass, in_order
from gateway.operate.party_changes import AccountRecord, PartyRecord

_CODE: Final = re.compile(r"[0-9A-Z]{10}")
_ACCOUNT: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
# Prefixes of queues and exchanges of RabbitMQ and of the gateway: an account's begin with its name and a dot.
_NOT_ACCOUNTS: Final = ("amq", "gateway")
_SUFFIX: Final = re.compile(r"\.[a-z0-9._-]{1,31}")
_SENT: Final = (".xml", ".zip", ".pdf")
_DISTRICT: Final = re.compile(r"[0-9]{2}00")


def _customs_code(text: str) -> str:
    if not _CODE.fullmatch(text):
        raise ValueError(f"{text!r} is no customs code: 10 digits or capitals")
    return text


def _scc(text: str) -> str:
    if not is_scc(text):
        raise ValueError(f"{text!r} is no social credit code: 18 characters, or the check character is wrong")
    if not is_organisation_code(text[8:17]):
        raise ValueError(f"{text!r} holds {text[8:17]}, which is no organisation code: wrong check character")
    return text


def _account_name(text: str) -> str:
    if not _ACCOUNT.fullmatch(text):
        raise ValueError(f"{text!r} is no account: small letters, digits and hyphens, 63 at most")
    if text in _NOT_ACCOUNTS:
        raise ValueError(f"{text!r} is no account: AMQP has queues of that name")
    return text


def _district(text: str) -> str:
    if not _DISTRICT.fullmatch(text):
        raise ValueError(f"{text!r} is no district: four digits that end in 00")
    return text


def _suffix(text: str) -> str:
    if not _SUFFIX.fullmatch(text):
        raise ValueError(
            f"{text!r} is no suffix: a dot, then small letters, digits, dots, - and _, 32 at most"
        )
    if text.endswith(_SENT):
        raise ValueError(f"{text!r} is what finished files are called")
    return text


def _some_roles(roles: tuple[Role, ...]) -> tuple[Role, ...]:
    if not roles:
        raise ValueError(f"no role: {', '.join(Role)}")
    return in_order(roles)


CustomsCode = Annotated[str, AfterValidator(_customs_code)]
Scc = Annotated[str, AfterValidator(_scc)]
AccountName = Annotated[str, AfterValidator(_account_name)]
UnfinishedSuffix = Annotated[str, AfterValidator(_suffix)]
District = Annotated[str, AfterValidator(_district)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Roles = Annotated[tuple[Role, ...], AfterValidator(_some_roles)]
Place = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Day = Annotated[date, Strict()]


def _written_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no day: year-month-day, as in 2026-11-01") from None


def _separated(cell: str) -> list[str]:
    return [name for name in cell.replace("；", ";").split(";") if name.strip()]


def _written_roles(cell: str) -> tuple[Role, ...]:
    # Output of `--json` has commas between roles.
    names = [name.strip() for name in _separated(cell.replace(",", ";"))]
    if unknown := [name for name in names if name not in set(Role)]:
        raise ValueError(f"{', '.join(map(repr, unknown))} is no role: {', '.join(Role)}")
    return tuple(Role(name) for name in names)


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    code: CustomsCode
    scc: Scc | None = None
    name: Name | None = None
    role: Annotated[Roles, BeforeValidator(_written_roles)] | None = None
    trader_class: TraderClass | None = Field(None, alias="class")
    since: Annotated[date, BeforeValidator(_written_day)] | None = None
    account: AccountName | None = None
    places: Annotated[tuple[Place, ...], BeforeValidator(_separated)] | None = None

    @model_validator(mode="after")
    def _dates_a_class(self) -> Self:
        if self.since is not None and self.trader_class is None:
            raise ValueError("since stands there without class")
        return self


COLUMNS: Final = ("code", "scc", "name", "role", "class", "since", "account", "places")


def read_cells(place: str, cells: Mapping[str, str], keys: tuple[str, ...] = ()) -> PartyRecord:
    """The fields in `cells`, by `COLUMNS`; an empty cell leaves a field as it is. Raises
    `ValidationError`."""
    row = _Row.model_validate({column: cell for column, cell in cells.items() if cell})
    return PartyRecord(
        place=place,
        code=row.code,
        scc=row.scc,
        name=row.name,
        roles=row.role,
        trader_class=row.trader_class,
        since=row.since,
        places=row.places,
        account=None if row.account is None else AccountRecord(name=row.account, keys=keys),
    )


def wrong(place: str, error: ValidationError) -> list[str]:
    """A line for each wrong field. The names of a union's forms, in angle brackets, are left out."""
    return [f"{_where(place, error['loc'])}: {complaint(error)}" for error in error.errors()]


def _where(place: str, steps: Iterable[int | str]) -> str:
    named = ".".join(str(step) for step in steps if not str(step).startswith("<"))
    return f"{place}, {named}" if named else place


def twice(name: str, stated: Iterable[PartyRecord]) -> list[str]:
    """A line for each customs code that occurs more than once."""
    counted = Counter(each.code for each in stated)
    return [
        f"{name}: code {code} stands there more than once" for code, count in counted.items() if count > 1
    ]

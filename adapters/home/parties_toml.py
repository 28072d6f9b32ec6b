"""Reads parties from `parties.toml` and similar files, with the key and certificate files that they name."""

import re
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Strict,
    Tag,
    ValidationError,
    model_validator,
)

from adapters.home.key_files import BadFile, read_certificate, read_keys
from adapters.home.party_fields import (
    AccountName,
    CustomsCode,
    Day,
    District,
    Name,
    Place,
    Roles,
    Scc,
    UnfinishedSuffix,
    twice,
    wrong,
)
from gateway.config.bad_settings import BadSettings
from gateway.config.settings import UNKNOWN_KEY, toml
from gateway.model.parties import (
    EVER,
    ClassPeriod,
    Contract,
    Delivery,
    Period,
    ReceiptForm,
    RegisteredCertificate,
    Role,
    SignaturePolicy,
    TraderClass,
)
from gateway.operate.party_changes import AccountRecord, PartyRecord

_HEADER: Final = re.compile(r"^[ \t]*\[\[[ \t]*party[ \t]*\]\]", re.MULTILINE)


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Period(_Section):
    since: Day = EVER
    until: Day | None = None

    @model_validator(mode="after")
    def _has_days(self) -> Self:
        Period(since=self.since, until=self.until)
        return self


class _Class(_Period):
    trader_class: TraderClass = Field(alias="class")


class _Contract(_Period):
    district: District


class _Certificate(_Section):
    file: str
    revoked_at: Annotated[AwareDatetime, Strict()] | None = None


class _Account(_Section):
    name: AccountName
    keys: tuple[str, ...] = ()
    max_package: int | None = Field(None, ge=1024)
    max_sessions: int | None = Field(None, ge=1)
    max_files: int | None = Field(None, ge=1)
    daily_messages: int | None = Field(None, ge=0)
    daily_bytes: int | None = Field(None, ge=0)
    unfinished: tuple[UnfinishedSuffix, ...] | None = None
    receipts: tuple[ReceiptForm, ...] | None = None
    delivery: Delivery | None = None


def _form(value: object) -> str:
    return "<table>" if isinstance(value, dict | list) else "<short>"


_ListedContract = Annotated[
    Annotated[District, Tag("<short>")] | Annotated[_Contract, Tag("<table>")], Discriminator(_form)
]
_ListedCertificate = Annotated[
    Annotated[str, Tag("<short>")] | Annotated[_Certificate, Tag("<table>")], Discriminator(_form)
]
_ListedRoles = Annotated[
    Annotated[Role, Tag("<short>")] | Annotated[Roles, Tag("<table>")], Discriminator(_form)
]
_KeepsPapers = Annotated[
    Annotated[bool, Tag("<short>")] | Annotated[tuple[_Period, ...], Tag("<table>")], Discriminator(_form)
]


class _Party(_Section):
    code: CustomsCode
    scc: Scc | None = None
    name: Name | None = None
    role: _ListedRoles | None = None
    trader_class: TraderClass | None = Field(None, alias="class")
    since: Day | None = None
    classes: tuple[_Class, ...] | None = None
    signature: SignaturePolicy | None = None
    keeps_papers: _KeepsPapers | None = None
    kept_before_reform: bool | None = None
    contracts: tuple[_ListedContract, ...] | None = None
    certificates: tuple[_ListedCertificate, ...] = ()
    confirms_automatically: tuple[CustomsCode, ...] | None = None
    places: tuple[Place, ...] | None = None
    account: _Account | None = None

    @model_validator(mode="after")
    def _says_the_class_once(self) -> Self:
        if self.classes is not None and (self.trader_class is not None or self.since is not None):
            raise ValueError("classes stands beside class or since: only one of the two forms is possible")
        if self.since is not None and self.trader_class is None:
            raise ValueError("since stands there without class")
        return self


def read_parties(path: Path) -> list[PartyRecord]:
    """The parties in the file; files that it names are relative to its folder.

    Raises `BadSettings` with every error, each with its party, the line where that begins, and the key.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadSettings(f"{path.name}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise BadSettings(f"{path.name}: {error}") from None
    data = toml(path.name, text)
    listed = data.pop("party", [])
    errors = [f"{path.name}, {key}: {UNKNOWN_KEY}" for key in data]
    if not isinstance(listed, list) or not listed:
        raise BadSettings("\n".join([*errors, f"{path.name}, party: there is none"]))
    lines = [text.count("\n", 0, match.start()) + 1 for match in _HEADER.finditer(text)]
    stated = []
    for number, party in enumerate(listed):
        line = f" (line {lines[number]})" if len(lines) == len(listed) else ""
        place = f"{path.name}, party {number + 1}{line}"
        try:
            files = _Files(path.parent)
            stated.append(_stated(place, _Party.model_validate(party), files))
            errors.extend(f"{place}, {problem}" for problem in files.problems)
        except ValidationError as error:
            errors.extend(wrong(place, error))
    errors.extend(twice(path.name, stated))
    if errors:
        raise BadSettings("\n".join(errors))
    return stated


class _Files:
    """Reads the files that a party names, and collects their errors."""

    def __init__(self, folder: Path) -> None:
        self.problems: list[str] = []
        self._folder = folder

    def keys(self, file: str) -> tuple[str, ...]:
        try:
            return read_keys(self._folder / file, file)
        except BadFile as error:
            self.problems.append(f"account.keys: {error}")
            return ()

    def certificates(self, listed: str | _Certificate) -> tuple[RegisteredCertificate, ...]:
        certificate = _Certificate(file=listed) if isinstance(listed, str) else listed
        try:
            pem = read_certificate(self._folder / certificate.file, certificate.file)
        except BadFile as error:
            self.problems.append(f"certificates: {error}")
            return ()
        return (RegisteredCertificate(pem=pem, revoked_at=certificate.revoked_at),)


def _stated(place: str, listed: _Party, files: _Files) -> PartyRecord:
    return PartyRecord(
        place=place,
        code=listed.code,
        scc=listed.scc,
        name=listed.name,
        roles=(listed.role,) if isinstance(listed.role, Role) else listed.role,
        trader_class=listed.trader_class,
        since=listed.since,
        classes=None
        if listed.classes is None
        else tuple(
            ClassPeriod(trader_class=each.trader_class, since=each.since, until=each.until)
            for each in listed.classes
        ),
        signature=listed.signature,
        certificates=tuple(one for each in listed.certificates for one in files.certificates(each)),
        contracts=None
        if listed.contracts is None
        else tuple(
            each
            if isinstance(each, str)
            else Contract(district=each.district, since=each.since, until=each.until)
            for each in listed.contracts
        ),
        keeps_papers=tuple(Period(since=each.since, until=each.until) for each in listed.keeps_papers)
        if isinstance(listed.keeps_papers, tuple)
        else listed.keeps_papers,
        kept_before_reform=listed.kept_before_reform,
        confirms_automatically=listed.confirms_automatically,
        places=listed.places,
        account=None if listed.account is None else _account(files, listed.account),
    )


def _account(files: _Files, listed: _Account) -> AccountRecord:
    return AccountRecord(
        name=listed.name,
        keys=tuple(line for file in listed.keys for line in files.keys(file)),
        max_package=listed.max_package,
        max_sessions=listed.max_sessions,
        max_files=listed.max_files,
        daily_messages=listed.daily_messages,
        daily_bytes=listed.daily_bytes,
        unfinished=listed.unfinished,
        receipts=listed.receipts,
        delivery=listed.delivery,
    )

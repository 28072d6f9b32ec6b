"""Changes to a party; history is kept.

A field that the record leaves out stays as it is. A value without dates applies from the day of the change,
unless it applies already; for a new party it applies from the beginning. Values with dates replace the whole
list.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TypeVar

from gateway.model.parties import (
    EVER,
    Account,
    ClassPeriod,
    Contract,
    Delivery,
    Party,
    Period,
    ReceiptForm,
    RegisteredCertificate,
    Role,
    SignaturePolicy,
    TraderClass,
)
from gateway.operate.party_keys import merged, with_keys

T = TypeVar("T")
P = TypeVar("P", bound=Period)

_DAY = timedelta(days=1)
# Limits of a new account. An account that is older than these limits has none until it is given some.
_DAILY_MESSAGES = 100_000
_DAILY_BYTES = 100 * 10**9


class NotPossible(ValueError):
    """A change to a party that is not possible; `field` is the field at fault."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRecord:
    """A change to a log-in. Keys are added to those that it has."""

    name: str
    keys: tuple[str, ...] = ()
    max_package: int | None = None
    max_sessions: int | None = None
    max_files: int | None = None
    daily_messages: int | None = None  # 0: no limit
    daily_bytes: int | None = None
    unfinished: tuple[str, ...] | None = None
    receipts: tuple[ReceiptForm, ...] | None = None
    delivery: Delivery | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyRecord:
    """A change to the party with the customs code `code`; None leaves a field as it is. `place` is the place
    in the imported file.

    `trader_class` is in force from `since`, or else as the module's docstring says; a district without dates
    likewise. Certificates are added to those that the party has; a revocation is never undone.
    """

    place: str
    code: str
    scc: str | None = None
    name: str | None = None
    roles: tuple[Role, ...] | None = None
    trader_class: TraderClass | None = None
    since: date | None = None
    classes: tuple[ClassPeriod, ...] | None = None
    signature: SignaturePolicy | None = None
    certificates: tuple[RegisteredCertificate, ...] = ()
    contracts: tuple[str | Contract, ...] | None = None
    keeps_papers: bool | tuple[Period, ...] | None = None
    kept_before_reform: bool | None = None
    confirms_automatically: tuple[str, ...] | None = None
    places: tuple[str, ...] | None = None
    account: AccountRecord | None = None


def changed(before: Party | None, record: PartyRecord, today: date) -> Party:
    """The party after the change on `today`. Raises `NotPossible`."""
    if before is None:
        return _new(record, today)
    try:
        return replace(
            before,
            scc=_or_before(record.scc, before.scc),
            name=_or_before(record.name, before.name),
            roles=_or_before(record.roles, before.roles),
            classes=_classes(before.classes, record, today, begins=record.since or today),
            signature=_or_before(record.signature, before.signature),
            certificates=merged((*before.certificates, *record.certificates)),
            contracts=_contracts(before.contracts, record.contracts, today, begins=today),
            keeps_papers=_keeps_papers(before.keeps_papers, record.keeps_papers, today, begins=today),
            kept_before_reform=_or_before(record.kept_before_reform, before.kept_before_reform),
            confirms_automatically=_or_before(record.confirms_automatically, before.confirms_automatically),
            places=_or_before(record.places, before.places),
            account=_account(before.account, record.account),
        )
    except NotPossible:
        raise
    except ValueError as error:
        raise NotPossible("", str(error)) from None


def _new(record: PartyRecord, today: date) -> Party:
    needed = {"scc": record.scc, "name": record.name, "role": record.roles}
    missing = [name for name, value in needed.items() if value is None]
    if record.scc is None or record.name is None or record.roles is None:
        raise NotPossible(missing[0], f"a new party needs {' and '.join(missing)}")
    try:
        return Party(
            code=record.code,
            scc=record.scc,
            name=record.name,
            roles=record.roles,
            classes=_classes((), record, today, begins=record.since or EVER),
            signature=_or_before(record.signature, SignaturePolicy.OPTIONAL),
            certificates=merged(record.certificates),
            contracts=_contracts((), record.contracts, today, begins=EVER),
            keeps_papers=_keeps_papers((), record.keeps_papers, today, begins=EVER),
            kept_before_reform=bool(record.kept_before_reform),
            confirms_automatically=record.confirms_automatically or (),
            places=record.places or (),
            account=_account(None, record.account),
        )
    except NotPossible:
        raise
    except ValueError as error:
        raise NotPossible("", str(error)) from None


def _or_before(stated: T | None, before: T) -> T:
    return before if stated is None else stated


def _until(day: date, periods: Iterable[P]) -> tuple[P, ...]:
    """The periods, cut off before `day`."""
    return tuple(
        replace(each, until=day - _DAY) if each.until is None or each.until >= day else each
        for each in periods
        if each.since < day
    )


def _classes(
    before: tuple[ClassPeriod, ...], record: PartyRecord, today: date, begins: date
) -> tuple[ClassPeriod, ...]:
    if record.classes is not None:
        return tuple(sorted(record.classes, key=_beginning))
    # A class that begins later is compared with the one that would be in force by then.
    day = max(today, begins)
    in_force = next((each.trader_class for each in before if each.covers(day)), None)
    if record.trader_class is None or record.trader_class == in_force:
        return before
    return (*_until(begins, before), ClassPeriod(trader_class=record.trader_class, since=begins))


def _contracts(
    before: tuple[Contract, ...], stated: tuple[str | Contract, ...] | None, today: date, begins: date
) -> tuple[Contract, ...]:
    if stated is None:
        return before
    after = [each for each in stated if isinstance(each, Contract)]
    dated = {each.district for each in after}
    named = {each for each in stated if isinstance(each, str)}
    if dated & named:
        raise NotPossible(
            "contracts", f"{', '.join(sorted(dated & named))} stands there with and without dates"
        )
    for district in sorted({each.district for each in before} - dated | named):
        own = tuple(each for each in before if each.district == district)
        if district not in named:
            after.extend(_until(today, own))
        elif any(each.covers(today) for each in own):
            after.extend(own)
        else:
            after.extend((*_until(begins, own), Contract(district=district, since=begins)))
    return tuple(sorted(after, key=lambda each: (each.district, each.since)))


def _keeps_papers(
    before: tuple[Period, ...], stated: bool | tuple[Period, ...] | None, today: date, begins: date
) -> tuple[Period, ...]:
    if stated is None:
        return before
    if isinstance(stated, tuple):
        return tuple(sorted(stated, key=_beginning))
    if not stated:
        return _until(today, before)
    if any(each.covers(today) for each in before):
        return before
    return (*_until(begins, before), Period(since=begins))


def _beginning(period: Period) -> date:
    return period.since


def _account(before: Account | None, stated: AccountRecord | None) -> Account | None:
    if stated is None:
        return before
    if before is None:
        before = Account(name=stated.name, keys=(), daily_messages=_DAILY_MESSAGES, daily_bytes=_DAILY_BYTES)
    if before.name != stated.name:
        # Folders, messages and receipts are kept under the log-in's name.
        raise NotPossible("account", f"the party has the account {before.name}; an account keeps its name")
    return replace(
        with_keys(before, stated.keys),
        max_package=_or_before(stated.max_package, before.max_package),
        max_sessions=_or_before(stated.max_sessions, before.max_sessions),
        max_files=_or_before(stated.max_files, before.max_files),
        daily_messages=_or_before(stated.daily_messages, before.daily_messages) or None,
        daily_bytes=_or_before(stated.daily_bytes, before.daily_bytes) or None,
        unfinished=_or_before(stated.unfinished, before.unfinished),
        receipts=_or_before(stated.receipts, before.receipts),
        delivery=_or_before(stated.delivery, before.delivery),
    )

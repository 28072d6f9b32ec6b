"""The parties: traders, brokers, association, customs and premises, and what each may do."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from itertools import pairwise
from typing import Final

from gateway.model.unfinished_names import is_unfinished

EVER: Final = date.min


class Role(StrEnum):
    TRADER = "trader"
    BROKER = "broker"
    ASSOCIATION = "association"
    CUSTOMS = "customs"
    PREMISES = "premises"


ROLES_ZH: Final = {
    Role.TRADER: "境内收发货人",
    Role.BROKER: "报关企业",
    Role.ASSOCIATION: "报关协会",
    Role.CUSTOMS: "海关",
    Role.PREMISES: "海关监管作业场所",
}


class TraderClass(StrEnum):
    """The enterprise's class in customs' management by category (docs/reform.md, R4-R8)."""

    AA = "AA"
    A_PRODUCING = "A-producing"
    A = "A"
    B = "B"
    C = "C"
    D = "D"


# Their names in receipts and notices.
CLASSES_ZH: Final = {
    TraderClass.AA: "AA类",
    TraderClass.A_PRODUCING: "A类（生产型）",
    TraderClass.A: "A类",
    TraderClass.B: "B类",
    TraderClass.C: "C类",
    TraderClass.D: "D类",
}


class SignaturePolicy(StrEnum):
    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


class ReceiptForm(StrEnum):
    """Which receipts an account wants in its InBox: broker software's, the gateway's own, or both."""

    SINGLE_WINDOW = "single-window"
    GATEWAY = "gateway"


class Delivery(StrEnum):
    """How an account gets its receipts. They are in its InBox in any case."""

    INBOX = "inbox"  # it fetches them over SFTP
    AMQP = "amqp"  # they are published to it; only such an account may submit over AMQP
    FOLDER = "folder"  # they are put into the folders that the party hosts itself


def in_order(roles: Iterable[Role]) -> tuple[Role, ...]:
    return tuple(sorted(set(roles)))


def district_of(office: str) -> str:
    """The direct customs above a customs office: its first two digits and "00"."""
    return f"{office[:2]}00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Days in China time, the first and the last included. One that begins at `EVER` has no beginning,
    one without `until` no end; a period without any day raises `ValueError`."""

    since: date = EVER
    until: date | None = None

    def __post_init__(self) -> None:
        if self.until is not None and self.until < self.since:
            raise ValueError(f"a period ends on {self.until}, before it begins on {self.since}")

    def covers(self, day: date) -> bool:
        return self.since <= day and (self.until is None or day <= self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassPeriod(Period):
    """The period in which a class is in force."""

    trader_class: TraderClass


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract(Period):
    """The period of a paperless contract between the enterprise, a district and the data centre (R5)."""

    district: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredCertificate:
    """A certificate that a party may sign with: PEM, and the time from which it is revoked, if it is.

    A party may have several valid at once, so that old and new overlap.
    """

    pem: str
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedKey:
    """A log-in key that is no longer accepted. It is kept, so that importing an old file does not restore
    it."""

    line: str
    revoked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A log-in. `keys` are lines of an OpenSSH authorized_keys file; `max_package` is in bytes;
    `daily_messages` and `daily_bytes` limit what it may send on one day in China (None: no limit);
    `unfinished` are suffixes of unfinished files that its software uses in addition to the common ones."""

    name: str
    keys: tuple[str, ...]
    revoked_keys: tuple[RevokedKey, ...] = ()
    max_package: int = 512 * 1024 * 1024
    max_sessions: int = 16
    max_files: int = 2000
    daily_messages: int | None = None
    daily_bytes: int | None = None
    unfinished: tuple[str, ...] = ()
    receipts: tuple[ReceiptForm, ...] = (ReceiptForm.SINGLE_WINDOW, ReceiptForm.GATEWAY)
    delivery: Delivery = Delivery.INBOX

    def is_unfinished(self, name: str) -> bool:
        return is_unfinished(name, self.unfinished)


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A registered party. `code` is the 10-character customs code, `scc` the 18-character social credit code.

    Facts that change with time are kept as periods and looked up by day; the day of receipt decides. Periods
    of one fact never overlap; a party whose periods do raises `ValueError`.

    `roles` are in alphabetical order, each once; an enterprise that declares for itself and for others is
    trader and broker.

    `keeps_papers` are the periods in which the party is fit to keep papers itself, `kept_before_reform`
    whether it did so before the reform (原暂存企业).
    `confirms_automatically` are the customs codes of the brokers whose agreements a trader confirms without
    being asked. `places` are those that premises run, by the names that declarations use: the place of the
    goods or the yard; empty for all places of the district.
    """

    code: str
    scc: str
    name: str
    roles: tuple[Role, ...]
    classes: tuple[ClassPeriod, ...] = ()
    signature: SignaturePolicy = SignaturePolicy.OPTIONAL
    certificates: tuple[RegisteredCertificate, ...] = ()
    contracts: tuple[Contract, ...] = ()
    keeps_papers: tuple[Period, ...] = ()
    kept_before_reform: bool = False
    confirms_automatically: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    account: Account | None = None

    def __post_init__(self) -> None:
        if not self.roles or self.roles != in_order(self.roles):
            raise ValueError("roles: one at least, each once, in order")
        _refuse_overlap("class", self.classes)
        _refuse_overlap("keeps_papers", self.keeps_papers)
        for district in sorted({each.district for each in self.contracts}):
            own = [each for each in self.contracts if each.district == district]
            _refuse_overlap(f"contract with {district}", own)

    @property
    def organisation_code(self) -> str:
        """The 9-character organisation code: positions 9-17 of the social credit code (GB 32100-2015)."""
        return self.scc[8:17]

    def class_on(self, day: date) -> TraderClass | None:
        return next((each.trader_class for each in self.classes if each.covers(day)), None)

    def has_contract(self, district: str, day: date) -> bool:
        """Whether the paperless contract with this district (as `district_of` gives it) is in force."""
        return any(each.district == district and each.covers(day) for each in self.contracts)

    def keeps_papers_on(self, day: date) -> bool:
        return any(each.covers(day) for each in self.keeps_papers)

    def is_called(self, code: str) -> bool:
        """Whether `code` names this party: customs code, social credit code, or the 9-character organisation
        code inside the latter, which older software writes."""
        return code in (self.code, self.scc) or (len(code) == 9 and code == self.organisation_code)


def _refuse_overlap(what: str, periods: Sequence[Period]) -> None:
    for earlier, later in pairwise(sorted(periods, key=lambda period: period.since)):
        if earlier.until is None or later.since <= earlier.until:
            raise ValueError(f"{what}: two periods overlap on {later.since}")


def named(register: Mapping[str, Party], name: str) -> Party | None:
    """The party with this account, or of this name (`Party.is_called`)."""
    return next(
        (
            party
            for party in register.values()
            if party.is_called(name) or (party.account is not None and party.account.name == name)
        ),
        None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyChange:
    """A party that is added (`before` is None), changed, or the same as before."""

    before: Party | None
    after: Party

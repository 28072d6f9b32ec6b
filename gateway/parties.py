"""Who takes part: traders, brokers, association, customs, premises, and what each may do."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    TRADER = "trader"
    BROKER = "broker"
    ASSOCIATION = "association"
    CUSTOMS = "customs"
    PREMISES = "premises"


class TraderClass(StrEnum):
    """The enterprise's class in customs' management by category (REFORM.md 3, 4)."""

    AA = "AA"
    A_PRODUCING = "A-producing"
    A = "A"
    B = "B"
    C = "C"
    D = "D"


class SignaturePolicy(StrEnum):
    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


class ReceiptForm(StrEnum):
    """Which receipts an account wants in its InBox: broker software's, the gateway's own, or both."""

    SINGLE_WINDOW = "single-window"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredCertificate:
    """A certificate that a party may sign with: PEM, and the time from which it is revoked, if it is.

    A party may have several valid at once, so that old and new overlap (LESSONS 20).
    """

    pem: str
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A log-in. `keys` are lines of an OpenSSH authorized_keys file; `max_package` is in bytes."""

    name: str
    keys: tuple[str, ...]
    max_package: int = 512 * 1024 * 1024
    max_sessions: int = 16
    max_files: int = 2000
    receipts: tuple[ReceiptForm, ...] = (ReceiptForm.SINGLE_WINDOW, ReceiptForm.GATEWAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A registered party. `code` is the 10-digit customs code, `scc` the 18-character social credit code."""

    code: str
    scc: str
    name: str
    role: Role
    trader_class: TraderClass | None = None
    signature: SignaturePolicy = SignaturePolicy.OPTIONAL
    certificates: tuple[RegisteredCertificate, ...] = ()
    contracts: tuple[str, ...] = ()
    keeps_papers: bool = False
    account: Account | None = None

    def is_called(self, code: str) -> bool:
        """Whether `code` names this party: customs code, social credit code, or the 9-character organisation
        code inside the latter (positions 9-17, GB 32100-2015), which older software writes (FORMATS 1.2)."""
        return code in (self.code, self.scc) or (len(code) == 9 and code == self.scc[8:17])

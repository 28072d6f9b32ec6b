"""How much more an account may send now: nobody fills the disk for all. Pure.

An account has an allowance for each day of China's (`Account.daily_messages`, `daily_bytes`), and the disk a
reserve. Below the reserve what is large is refused first, so that declarations without many pages go on;
below half of it nothing is taken.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.model.faults import Fault, Finding, finding
from gateway.model.parties import Account
from gateway.model.policy import Policy

SMALL: Final = 1024 * 1024  # bytes of what is still taken when the disk's reserve is touched
WARN_FROM: Final = 0.8  # of an allowance


@dataclass(frozen=True, slots=True, kw_only=True)
class SentToday:
    """What an account has sent on one day."""

    messages: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """Bytes of the disk that the home is on; `reserve` of them are to stay free."""

    free: int
    reserve: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadAllowance:
    """The most bytes that one more package may have, 0 for none, and what is said of a larger one."""

    most: int
    why: Finding

    def refuses(self, size: int) -> bool:
        return self.most == 0 or size > self.most


# What a door asks before it takes something from an account.
AllowanceQuery: TypeAlias = Callable[[Account], Awaitable[UploadAllowance]]


def largest(policy: Policy) -> int:
    """The bytes of the largest package that may be sound at all: a document and as many files as it may have,
    each of the largest size, with a kilobyte for what a zip says of each."""
    files = policy.package.entries - 1
    return policy.package.document_size + files * policy.pdf.size + policy.package.entries * 1024


def room(account: Account, sent: SentToday, disk: Disk, sound: int | None = None) -> UploadAllowance:
    """The narrowest of the account's own bound, that of what may be `sound` at all, the account's allowance
    and the disk's reserve."""
    most = account.max_package if sound is None else min(account.max_package, sound)
    found = UploadAllowance(most=most, why=finding(Fault.PACKAGE_TOO_LARGE, detail=f"> {most}"))
    left = allowance(account, sent)
    if left is not None and left.most < found.most:
        found = left
    if disk.free < disk.reserve:
        least = SMALL if disk.free * 2 >= disk.reserve else 0
        if least < found.most:
            found = UploadAllowance(most=least, why=finding(Fault.DISK_RESERVE, detail=str(least)))
    return found


def allowance(account: Account, sent: SentToday) -> UploadAllowance | None:
    """What is left of it for the day; None where the account has none."""
    left = _left(account, sent)
    if left is None:
        return None
    messages = f"{sent.messages}/{account.daily_messages or '-'}"
    size = f"{sent.size}/{account.daily_bytes or '-'}"
    why = finding(
        Fault.ALLOWANCE_USED,
        detail=f"messages {messages}, bytes {size}",
        detail_zh=f"报文 {messages} 份，容量 {size} 字节",
    )
    return UploadAllowance(most=left, why=why)


def _left(account: Account, sent: SentToday) -> int | None:
    """Bytes of its allowance for the day; None where it has none."""
    if account.daily_messages is not None and sent.messages >= account.daily_messages:
        return 0
    return None if account.daily_bytes is None else max(0, account.daily_bytes - sent.size)


def share(account: Account, sent: SentToday) -> float:
    """How much of its allowance is used, of whichever bound is nearer; 0 where there is none."""
    bounds = ((sent.messages, account.daily_messages), (sent.size, account.daily_bytes))
    return max((used / most for used, most in bounds if most), default=0.0)

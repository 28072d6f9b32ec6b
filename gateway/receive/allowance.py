"""How much more an account may send now, so that no account can fill the disk for all. Pure.

An account has an allowance for each day in China (`Account.daily_messages`, `daily_bytes`), and the disk has
a reserve. When free space falls below the reserve, only packages up to `SMALL` are taken, so that short
declarations go on; below half of the reserve nothing is taken.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.model.faults import Fault, Finding, finding
from gateway.model.parties import Account
from gateway.model.policy import Policy

SMALL: Final = 1024 * 1024  # bytes; the largest package taken when the disk's reserve is touched
WARN_FROM: Final = 0.8  # of an allowance


@dataclass(frozen=True, slots=True, kw_only=True)
class SentToday:
    """What an account has sent on one day."""

    messages: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """Bytes of the disk that the home is on; `reserve` of them must stay free."""

    free: int
    reserve: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadAllowance:
    """The largest size in bytes of the next package, 0 for none, and the fault of a larger one."""

    most: int
    why: Finding

    def refuses(self, size: int) -> bool:
        return self.most == 0 or size > self.most


# Channels call this before they take something from an account.
AllowanceQuery: TypeAlias = Callable[[Account], Awaitable[UploadAllowance]]


def largest(policy: Policy) -> int:
    """The size in bytes of the largest package that can be valid: a document and as many files as it may
    have, each of the largest size, with a kilobyte for the zip headers of each."""
    files = policy.package.entries - 1
    return policy.package.document_size + files * policy.pdf.size + policy.package.entries * 1024


def room(account: Account, sent: SentToday, disk: Disk, sound: int | None = None) -> UploadAllowance:
    """The smallest of the account's size limit, the limit `sound` for any valid package, the account's
    allowance and the disk's reserve."""
    most = account.max_package if sound is None else min(account.max_package, sound)
    smallest = UploadAllowance(most=most, why=finding(Fault.PACKAGE_TOO_LARGE, detail=f"> {most}"))
    left = allowance(account, sent)
    if left is not None and left.most < smallest.most:
        smallest = left
    if disk.free < disk.reserve:
        least = SMALL if disk.free * 2 >= disk.reserve else 0
        if least < smallest.most:
            smallest = UploadAllowance(most=least, why=finding(Fault.DISK_RESERVE, detail=str(least)))
    return smallest


def allowance(account: Account, sent: SentToday) -> UploadAllowance | None:
    """What is left of the account's allowance for the day; None where it has no allowance."""
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
    """Bytes left of the account's allowance for the day; None where it has no such limit."""
    if account.daily_messages is not None and sent.messages >= account.daily_messages:
        return 0
    return None if account.daily_bytes is None else max(0, account.daily_bytes - sent.size)


def share(account: Account, sent: SentToday) -> float:
    """The used share of the account's allowance, by the nearer limit; 0 where it has no limit."""
    bounds = ((sent.messages, account.daily_messages), (sent.size, account.daily_bytes))
    return max((used / most for used, most in bounds if most), default=0.0)

"""Putting a receipt back that its account has removed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from gateway.model.parties import Delivery

RESTORED: Final = "receipt-restored"


class NotRemoved(Exception):
    """The receipt is still in its folder."""


@dataclass(frozen=True, slots=True)
class RemovableReceipt:
    """When its account removed it, and how the account gets its receipts; None where there is no such
    account any more."""

    removed_at: datetime | None
    delivery: Delivery | None


# The time from which a receipt that is put back is delivered, None if its account fetches it.
RestoreDecision = Callable[[RemovableReceipt], datetime | None]


class ReceiptStore(Protocol):
    def put_back(self, receipt: int, decide: RestoreDecision, actor: str, reason: str, now: datetime) -> None:
        """Puts the receipt back into its folder, byte for byte and unread, in one commit with its event;
        nothing is written if `decide` raises."""
        ...


def restore(store: ReceiptStore, receipt: int, actor: str, reason: str, now: datetime) -> None:
    """Puts the receipt back, and has it delivered again to an account that does not fetch. Raises
    `NotRemoved`."""

    def due(present: RemovableReceipt) -> datetime | None:
        if present.removed_at is None:
            raise NotRemoved
        return None if present.delivery in (None, Delivery.INBOX) else now

    store.put_back(receipt, due, actor, reason, now)

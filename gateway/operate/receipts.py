"""Putting a receipt back that its account has removed."""

from datetime import datetime
from typing import Final

from gateway.model.parties import Delivery
from gateway.operate.ports import ReceiptStore, RemovableReceipt

RESTORED: Final = "receipt-restored"


class NotRemoved(Exception):
    """The receipt is still in its folder."""


def restore(store: ReceiptStore, receipt: int, actor: str, reason: str, now: datetime) -> None:
    """Puts the receipt back, and has it delivered again to an account that does not fetch. Raises
    `NotRemoved`."""

    def due(present: RemovableReceipt) -> datetime | None:
        if present.removed_at is None:
            raise NotRemoved
        return None if present.delivery in (None, Delivery.INBOX) else now

    store.put_back(receipt, due, actor, reason, now)

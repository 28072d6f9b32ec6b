"""The ports of notifying: the receipts that are to be delivered."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.model.folders import Folder
from gateway.model.message import ReceiptKind, Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptDelivery:
    """A receipt to deliver to its account, with the reply properties of the message that it is for.
    `message_name` is the file name of that message."""

    receipt: int
    account: str
    message: str
    message_name: str
    reference: str
    name: str
    folder: Folder
    kind: ReceiptKind
    verdict: str
    final: bool
    body: bytes
    at: datetime
    reply: Reply | None


class ReceiptDeliveries(Protocol):
    """Receipts of the accounts that do not fetch them (`parties.Delivery`), until they are delivered."""

    async def due(
        self, accounts: Sequence[str] | None, limit: int, now: datetime
    ) -> Sequence[ReceiptDelivery]:
        """The oldest due receipts, in their order: those of accounts with delivery AMQP, or, where `accounts`
        is given, those of these accounts (delivery FOLDER)."""
        ...

    async def posted(self, receipts: Sequence[int], now: datetime) -> None:
        """Notes that they were delivered: durable at the other end, as far as it confirms that."""
        ...

    async def later(self, receipts: Sequence[int], next_at: datetime) -> None:
        """Notes that they could not be delivered now."""
        ...

"""The ports of notifying: receipts to be delivered, and requests for documents to be sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.model.folders import Folder
from gateway.model.message import Receipt, ReceiptKind, Reply
from gateway.notify.document_requests import DocumentRequest


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


class RequestStore(Protocol):
    """The requests for documents in the store."""

    async def remind(self, now: datetime, reminders: Sequence[int]) -> int:
        """Records a request for each declaration whose next reminder is due by `now`, only one however many
        reminders were missed, and returns their number. `reminders` are days before the deadline."""
        ...

    async def untold(self, limit: int) -> Sequence[DocumentRequest]:
        """The requests that are not sent yet, oldest first, at most `limit`."""
        ...

    async def tell(self, request: DocumentRequest, receipts: Sequence[Receipt], now: datetime) -> None:
        """Adds the signed request to the receipts of its receivers in one commit, unless it is there."""
        ...

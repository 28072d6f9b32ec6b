"""The ports of notifying: receipts to be delivered, requests for documents and pending receipts to be
sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.model.folders import Folder
from gateway.model.message import Receipt, ReceiptKind, Reply
from gateway.model.pending_receipt import PendingReceipt
from gateway.notify.document_requests import DocumentRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptDelivery:
    """A receipt to deliver to its account, with the reply properties of the message that it is for.
    `message_name` is the file name of that message, `fence` that of the claim under which it is
    delivered."""

    receipt: int
    fence: int
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
    """Receipts of the accounts that do not fetch them (`parties.Delivery`), until they are delivered. Whoever
    claims has finished what it claimed before: what it left of that is due again."""

    async def claim(self, account: str | None, limit: int, now: datetime) -> Sequence[ReceiptDelivery]:
        """Claims due receipts, in turn between accounts and in the order of each account: those of accounts
        with delivery AMQP, or, where `account` is given, those of this one (delivery FOLDER)."""
        ...

    async def posted(self, deliveries: Sequence[ReceiptDelivery], now: datetime) -> None:
        """Notes that they were delivered: durable at the other end, as far as it confirms that."""
        ...

    async def later(self, deliveries: Sequence[ReceiptDelivery], next_at: datetime) -> None:
        """Notes that they could not be delivered now."""
        ...


class RequestStore(Protocol):
    """The requests for documents in the store."""

    async def remind(self, now: datetime, reminders: Sequence[int]) -> int:
        """Records a request for each declaration whose next reminder is due by `now`, only one however many
        reminders were missed, and returns their number. `reminders` are days before the deadline."""
        ...

    async def claim(self, limit: int, now: datetime) -> Sequence[DocumentRequest]:
        """Claims requests that are not sent yet, in turn between accounts, the oldest of each first."""
        ...

    async def send(self, request: DocumentRequest, receipts: Sequence[Receipt], now: datetime) -> None:
        """Adds the signed request to the receipts of its receivers in one commit, unless its claim was
        lost."""
        ...


class PendingReceiptStore(Protocol):
    """The messages whose senders must be notified that they wait."""

    async def claim(
        self,
        held_before: datetime,
        waiting_before: datetime,
        down: Mapping[str, datetime],
        limit: int,
        now: datetime,
    ) -> Sequence[PendingReceipt]:
        """Claims messages whose sender must still be notified that they wait, in turn between accounts, the
        oldest of each first: those held since before `held_before`, and those accepted before
        `waiting_before` whose delivery waits for a destination that is `down` (by name, since when)."""
        ...

    async def send(self, pending: PendingReceipt, receipt: Receipt, now: datetime) -> None:
        """Adds a pending receipt to a message, unless it went on meanwhile or the claim was lost."""
        ...


class PendingReceiptSigner(Protocol):
    async def pending_receipt(self, pending: PendingReceipt, now: datetime) -> Receipt:
        """The receipt that says that another will follow, and why."""
        ...

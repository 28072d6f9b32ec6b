"""Receipts as rows: written in the commit of their decision, and sent again when a message is repeated."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Final, Self

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from adapters.store.claims import queue_for_posting
from adapters.store.database import Transaction
from adapters.store.tables.messages import messages, parties, receipts
from adapters.store.tables.operations import former_names
from gateway.model.folders import Folder
from gateway.model.message import Receipt, ReceiptKind
from gateway.model.parties import Delivery
from gateway.model.receipt_names import receipt_name

_RENAMED_AT: Final = (
    select(func.max(former_names.c.at))
    .join(messages, messages.c.seq == former_names.c.seq)
    .where(messages.c.id == bindparam("message_id"))
)
_final = receipts.alias("final")
_FINAL: Final = select(receipts.c.id, receipts.c.verdict).where(
    receipts.c.message == bindparam("message_id"), receipts.c.final, ~receipts.c.superseded
)
# After any final receipt, whether or not another one has replaced it.
_LAST_FINAL: Final = (
    select(func.coalesce(func.max(receipts.c.id), 0))
    .where(receipts.c.message == bindparam("message_id"), receipts.c.final)
    .scalar_subquery()
)
_PENDING: Final = select(receipts.c.id).where(
    receipts.c.message == bindparam("message_id"),
    receipts.c.kind == ReceiptKind.GATEWAY,
    ~receipts.c.final,
    receipts.c.id > _LAST_FINAL,
)
_SAME_PENDING: Final = _PENDING.where(
    receipts.c.verdict == bindparam("verdict"),
    ~receipts.c.superseded,
    # Under its present name: receipts under an earlier name are unknown to the sender.
    receipts.c.created_at >= func.coalesce(_RENAMED_AT.scalar_subquery(), 0),
)
_OVERTAKE: Final = (
    update(receipts)
    .where(
        receipts.c.message == bindparam("message_id"),
        receipts.c.kind == ReceiptKind.GATEWAY,
        ~receipts.c.final,
        select(_final.c.id).where(_final.c.message == bindparam("message_id"), _final.c.final).exists(),
    )
    .values(superseded=True)
)
_SUPERSEDE: Final = update(receipts).where(receipts.c.id == bindparam("receipt_id")).values(superseded=True)
_TO_REPEAT: Final = (
    select(receipts)
    .where(
        receipts.c.message == bindparam("message_id"),
        receipts.c.folder == Folder.INBOX,
        ~receipts.c.superseded,
        # Receipts for other parties are not sent again to a sender that repeats its message.
        receipts.c.account
        == select(messages.c.account).where(messages.c.id == bindparam("message_id")).scalar_subquery(),
    )
    .order_by(receipts.c.id)
)
_INSERT: Final = insert(receipts)
_INSERT_NUMBERED: Final = _INSERT.returning(receipts.c.id, receipts.c.account, receipts.c.created_at)
SIGNED: Final = (ReceiptKind.GATEWAY, ReceiptKind.NOTICE, ReceiptKind.REQUEST)  # by the gateway
_DELIVERED: Final = select(parties.c.account).where(
    parties.c.account.in_(bindparam("accounts", expanding=True)), parties.c.delivery != Delivery.INBOX
)


def already_received(reader: Connection, message: str, new_receipts: Sequence[Receipt]) -> bool:
    """Whether the sender has already received what these receipts of one decision say: the last receipt was a
    final one with this verdict and no pending one after it, or a pending one of the same content that no
    replay has superseded."""
    for receipt in new_receipts:
        if receipt.kind is ReceiptKind.GATEWAY and receipt.final:
            before = reader.execute(_FINAL, {"message_id": message}).first()
            same = before is not None and before.verdict == receipt.verdict
            return same and reader.execute(_PENDING, {"message_id": message}).first() is None
        if receipt.kind is ReceiptKind.GATEWAY:
            return (
                reader.execute(_SAME_PENDING, {"message_id": message, "verdict": receipt.verdict}).first()
                is not None
            )
    return False


def put_receipts(
    transaction: Transaction, message: str, new_receipts: Sequence[Receipt], at: datetime
) -> Sequence[Receipt]:
    """Adds the receipts of one decision, and returns those that were added: none if the sender has them
    already. A final receipt replaces the one before."""
    with NewReceipts(transaction) as to_add:
        return to_add.put(message, new_receipts, at)


class NewReceipts:
    """The receipts of several changes, which are added together when the context ends, or when `add_now` is
    called since something is about to read them."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._rows: list[Mapping[str, object]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.add_now()

    def put(self, message: str, new_receipts: Sequence[Receipt], at: datetime) -> Sequence[Receipt]:
        """See `put_receipts`."""
        if any(receipt.kind is ReceiptKind.GATEWAY or receipt.final for receipt in new_receipts):
            self.add_now()
            if already_received(self._transaction.connection, message, new_receipts):
                return ()
            if any(receipt.final for receipt in new_receipts):
                _supersede(self._transaction, message)
        self._rows += [_row(message, receipt, at) for receipt in new_receipts]
        return new_receipts

    def add_now(self) -> None:
        _insert(self._transaction, self._rows)
        self._rows = []


def named(trail: Mapping[str, str], new_receipts: Sequence[Receipt]) -> dict[str, Any]:
    """The trail of a decision: names a receipt by digest only if somebody has received it, and receipts
    without our signature by their digests (`unsigned`), since nothing else proves their content."""
    digests = {hashlib.sha256(receipt.body).hexdigest() for receipt in new_receipts}
    detail = {name: value for name, value in trail.items() if name != "receipt" or value in digests}
    return detail | unsigned(new_receipts)


def unsigned(new_receipts: Sequence[Receipt]) -> dict[str, Any]:
    digests = sorted(
        {hashlib.sha256(receipt.body).hexdigest() for receipt in new_receipts if receipt.kind not in SIGNED}
    )
    return {"unsigned": digests} if digests else {}


def overtake(transaction: Transaction, message: str) -> None:
    """Processing continues after a final receipt: earlier pending receipts no longer hold, and are sent again
    if their reason recurs."""
    transaction.connection.execute(_OVERTAKE, {"message_id": message})


def _supersede(transaction: Transaction, message: str) -> None:
    before = transaction.connection.execute(_FINAL, {"message_id": message}).first()
    if before is not None:
        transaction.connection.execute(_SUPERSEDE, {"receipt_id": before.id})


def repeat_receipts(transaction: Transaction, message: str, name: str, earlier: str, at: datetime) -> int:
    """Repeats the receipts of `earlier`, byte for byte, under the file name of `message`."""
    rows = transaction.connection.execute(_TO_REPEAT, {"message_id": earlier}).all()
    copies = [_copy(row, message, name, at + timedelta(microseconds=index)) for index, row in enumerate(rows)]
    if copies:
        _supersede(transaction, message)
        _insert(transaction, copies)
    return len(copies)


def _insert(transaction: Transaction, rows: Sequence[Mapping[str, object]]) -> None:
    """Adds receipts, and queues those of the accounts to which receipts are delivered."""
    if not rows:
        return
    accounts = list({row["account"] for row in rows})
    delivered = set(transaction.connection.execute(_DELIVERED, {"accounts": accounts}).scalars())
    if not delivered:
        transaction.connection.execute(_INSERT, rows)
        return
    added = transaction.connection.execute(_INSERT_NUMBERED, rows).all()
    queue_for_posting(transaction, [each for each in added if each.account in delivered])


def _row(message: str, receipt: Receipt, at: datetime) -> dict[str, object]:
    return {
        "message": message,
        "account": receipt.account,
        "folder": Folder.FAILBOX if receipt.kind is ReceiptKind.REPORT else Folder.INBOX,
        "name": receipt.name,
        "kind": receipt.kind,
        "verdict": receipt.verdict,
        "final": receipt.final,
        "superseded": False,
        "body": receipt.body,
        "size": len(receipt.body),
        "created_at": at,
    }


def _copy(row: Row[*tuple[Any, ...]], message: str, name: str, at: datetime) -> dict[str, object]:
    prefix = str(row.name).split("_", 1)[0]
    return {
        "message": message,
        "account": row.account,
        "folder": row.folder,
        "name": receipt_name(prefix, name, at),
        "kind": row.kind,
        "verdict": row.verdict,
        "final": row.final,
        "superseded": False,
        "body": row.body,
        "size": row.size,
        "created_at": at,
    }

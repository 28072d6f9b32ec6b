"""Receipts as rows: written in the commit that decides them, and given again when a message is repeated."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, bindparam, insert, select, update

from adapters.stores.database import Transaction
from adapters.stores.tables import messages, parties, receipts
from gateway.answers import receipt_name
from gateway.message import Receipt, ReceiptKind
from gateway.parties import Delivery
from gateway.ports import Folder

_FINAL: Final = select(receipts.c.id, receipts.c.verdict).where(
    receipts.c.message == bindparam("of"), receipts.c.final, ~receipts.c.superseded
)
_SUPERSEDE: Final = update(receipts).where(receipts.c.id == bindparam("wanted")).values(superseded=True)
_GIVEN: Final = (
    select(receipts)
    .where(
        receipts.c.message == bindparam("of"),
        receipts.c.folder == Folder.INBOX,
        ~receipts.c.superseded,
        # What others were told of it is no business of a sender that repeats itself.
        receipts.c.account
        == select(messages.c.account).where(messages.c.id == bindparam("of")).scalar_subquery(),
    )
    .order_by(receipts.c.id)
)
_INSERT: Final = insert(receipts)
_BROUGHT: Final = select(parties.c.account).where(
    parties.c.account.in_(bindparam("accounts", expanding=True)), parties.c.delivery != Delivery.INBOX
)


def put_receipts(transaction: Transaction, message: str, given: Sequence[Receipt], at: datetime) -> None:
    """Adds the receipts of one decision.

    A final one whose verdict is that of the final one before (a replay that changed nothing) adds nothing at
    all: the sender has these receipts. One with another verdict takes the place of the one before.
    """
    for final in (receipt for receipt in given if receipt.final):
        before = transaction.connection.execute(_FINAL, {"of": message}).first()
        if before is not None and before.verdict == final.verdict:
            return
        if before is not None:
            transaction.connection.execute(_SUPERSEDE, {"wanted": before.id})
    if given:
        brought = _brought(transaction, {receipt.account for receipt in given})
        rows = [_row(message, receipt, at, brought) for receipt in given]
        transaction.connection.execute(_INSERT, rows)


def give_again(transaction: Transaction, message: str, name: str, earlier: str, at: datetime) -> int:
    """Gives the receipts of `earlier` again, byte for byte, under the file name of `message`."""
    rows = transaction.connection.execute(_GIVEN, {"of": earlier}).all()
    brought = _brought(transaction, {row.account for row in rows})
    again = [
        _again(row, message, name, at + timedelta(microseconds=index), brought)
        for index, row in enumerate(rows)
    ]
    if again:
        transaction.connection.execute(_INSERT, again)
    return len(again)


def _brought(transaction: Transaction, accounts: AbstractSet[str]) -> AbstractSet[str]:
    """Those of the accounts that do not fetch their receipts."""
    return set(transaction.connection.execute(_BROUGHT, {"accounts": list(accounts)}).scalars())


def _row(message: str, receipt: Receipt, at: datetime, brought: AbstractSet[str]) -> dict[str, object]:
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
        "post_at": at if receipt.account in brought else None,
    }


def _again(
    row: Row[*tuple[Any, ...]], message: str, name: str, at: datetime, brought: AbstractSet[str]
) -> dict[str, object]:
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
        "post_at": at if row.account in brought else None,
    }

"""An account's folders as a view of messages and receipts."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, select, update

from adapters.store.claims import TO_POST_OVER_AMQP
from adapters.store.database import Database, Transaction
from adapters.store.tables.messages import SHOWN, messages, receipts
from adapters.store.write.renaming import rename
from gateway.model.folders import Folder
from gateway.receive.ports import MailboxEntry


class SqlMailbox:
    """gateway.receive.ports.Mailbox over a `Database`. Every query filters by account, so that no account
    can reach another's entries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, account: str, folder: Folder, after: str, limit: int) -> Sequence[MailboxEntry]:
        return await self._database.read(lambda reader: _page(reader, account, folder, after, limit))

    async def entry(self, account: str, folder: Folder, name: str) -> MailboxEntry | None:
        return await self._database.read(lambda reader: _entry(reader, account, folder, name))

    async def whereabouts(self, account: str, messages: Sequence[str]) -> Mapping[str, Folder]:
        values = {"account": account, "message_ids": list(messages)}
        rows = await self._database.read(lambda reader: reader.execute(_WHEREABOUTS, values).all())
        return {row.id: Folder(row.folder) for row in rows}

    async def body(self, account: str, receipt: int) -> bytes:
        body = await self._database.read(
            lambda reader: reader.execute(
                _BODY, {"account": account, "receipt_id": receipt}
            ).scalar_one_or_none()
        )
        if body is None:
            raise KeyError(receipt)
        return bytes(body)

    async def rename(self, account: str, name: str, to: str, now: datetime) -> MailboxEntry | None:
        return await self._database.write(lambda transaction: rename(transaction, account, name, to, now))

    async def collected(self, account: str, receipt: int, at: datetime, *, removed: bool) -> None:
        await self._database.write(
            lambda transaction: _collected(transaction, account, receipt, at, removed=removed)
        )


def _collected(transaction: Transaction, account: str, receipt: int, at: datetime, *, removed: bool) -> None:
    change = (
        update(receipts)
        .where(receipts.c.account == account, receipts.c.id == receipt)
        .values(**{"removed_at" if removed else "collected_at": at})
    )
    if transaction.connection.execute(change).rowcount and removed:
        TO_POST_OVER_AMQP.end(transaction, receipt)


_OF_FOLDER: Final = (
    receipts.c.account == bindparam("account"),
    receipts.c.folder == bindparam("folder"),
    SHOWN,
)
_RECEIPTS: Final = select(receipts.c.id, receipts.c.name, receipts.c.size, receipts.c.created_at).where(
    *_OF_FOLDER
)
_MESSAGES: Final = select(messages.c.name, messages.c.size, messages.c.moved_at, messages.c.sha256).where(
    messages.c.account == bindparam("account"), messages.c.folder == bindparam("folder")
)
_NEWEST: Final = (
    _MESSAGES.where(messages.c.name == bindparam("name")).order_by(messages.c.seq.desc()).limit(1)
)
NEXT_MESSAGES: Final = (
    _MESSAGES.where(messages.c.name > bindparam("after"))
    .order_by(messages.c.name, messages.c.seq)
    .limit(bindparam("limit"))
)
NEXT_RECEIPTS: Final = (
    _RECEIPTS.where(receipts.c.name > bindparam("after")).order_by(receipts.c.name).limit(bindparam("limit"))
)
_WHEREABOUTS: Final = select(messages.c.id, messages.c.folder).where(
    messages.c.id.in_(bindparam("message_ids", expanding=True)),
    messages.c.account == bindparam("account"),
    messages.c.folder.is_not(None),
)
_BODY: Final = select(receipts.c.body).where(
    receipts.c.account == bindparam("account"),
    receipts.c.id == bindparam("receipt_id"),
    receipts.c.removed_at.is_(None),
)


def _page(reader: Connection, account: str, folder: Folder, after: str, limit: int) -> list[MailboxEntry]:
    where = {"account": account, "folder": folder, "after": after, "limit": limit}
    entries: dict[str, MailboxEntry] = {}
    if folder is not Folder.INBOX:
        rows = reader.execute(NEXT_MESSAGES, where).all()
        entries = {row.name: _of_message(row, folder) for row in rows}
        if len(rows) == limit:  # there may be newer ones with the last name
            last = {**where, "name": rows[-1].name}
            entries[rows[-1].name] = _of_message(reader.execute(_NEWEST, last).one(), folder)
    if folder in (Folder.INBOX, Folder.FAILBOX):
        for row in reader.execute(NEXT_RECEIPTS, where):
            entries[row.name] = _of_receipt(row, folder)
    return [entries[name] for name in sorted(entries)[:limit]]


def _entry(reader: Connection, account: str, folder: Folder, name: str) -> MailboxEntry | None:
    where = {"account": account, "folder": folder, "name": name}
    if folder in (Folder.INBOX, Folder.FAILBOX):
        row = reader.execute(_RECEIPTS.where(receipts.c.name == bindparam("name")), where).first()
        if row is not None:
            return _of_receipt(row, folder)
    if folder is not Folder.INBOX:
        row = reader.execute(_NEWEST, where).first()
        if row is not None:
            return _of_message(row, folder)
    return None


def _of_message(row: Row[*tuple[Any, ...]], folder: Folder) -> MailboxEntry:
    return MailboxEntry(folder=folder, name=row.name, size=row.size, at=row.moved_at, sha256=row.sha256)


def _of_receipt(row: Row[*tuple[Any, ...]], folder: Folder) -> MailboxEntry:
    return MailboxEntry(folder=folder, name=row.name, size=row.size, at=row.created_at, receipt=row.id)

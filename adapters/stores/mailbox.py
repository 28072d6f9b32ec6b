"""An account's folders as a view of messages and receipts."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, select, update

from adapters.stores.database import Database
from adapters.stores.renaming import rename
from adapters.stores.tables import messages, receipts
from gateway.ports import Entry, Folder


class SqlMailbox:
    """gateway.mailbox.Mailbox over a `Database`. Every query names the account, so that none can reach
    another's entries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def listing(self, account: str, folder: Folder) -> Sequence[Entry]:
        return await self._database.read(lambda reader: _listing(reader, account, folder))

    async def entry(self, account: str, folder: Folder, name: str) -> Entry | None:
        return await self._database.read(lambda reader: _entry(reader, account, folder, name))

    async def whereabouts(self, account: str, messages: Sequence[str]) -> Mapping[str, Folder]:
        wanted = {"account": account, "wanted": list(messages)}
        rows = await self._database.read(lambda reader: reader.execute(_WHEREABOUTS, wanted).all())
        return {row.id: Folder(row.folder) for row in rows}

    async def body(self, account: str, receipt: int) -> bytes:
        found = await self._database.read(
            lambda reader: reader.execute(
                _BODY, {"account": account, "receipt": receipt}
            ).scalar_one_or_none()
        )
        if found is None:
            raise KeyError(receipt)
        return bytes(found)

    async def rename(self, account: str, name: str, to: str, now: datetime) -> Entry | None:
        return await self._database.write(lambda transaction: rename(transaction, account, name, to, now))

    async def collected(self, account: str, receipt: int, at: datetime, *, removed: bool) -> None:
        change = (
            update(receipts)
            .where(receipts.c.account == account, receipts.c.id == receipt)
            .values(**{"removed_at" if removed else "collected_at": at})
        )
        await self._database.write(lambda transaction: transaction.connection.execute(change))


_OF_FOLDER: Final = (
    receipts.c.account == bindparam("account"),
    receipts.c.folder == bindparam("folder"),
    receipts.c.removed_at.is_(None),
)
_RECEIPTS: Final = select(receipts.c.id, receipts.c.name, receipts.c.size, receipts.c.created_at).where(
    *_OF_FOLDER
)
_MESSAGES: Final = select(messages.c.name, messages.c.size, messages.c.moved_at, messages.c.sha256).where(
    messages.c.account == bindparam("account"), messages.c.folder == bindparam("folder")
)
_WHEREABOUTS: Final = select(messages.c.id, messages.c.folder).where(
    messages.c.id.in_(bindparam("wanted", expanding=True)),
    messages.c.account == bindparam("account"),
    messages.c.folder.is_not(None),
)
_BODY: Final = select(receipts.c.body).where(
    receipts.c.account == bindparam("account"),
    receipts.c.id == bindparam("receipt"),
    receipts.c.removed_at.is_(None),
)


def _listing(reader: Connection, account: str, folder: Folder) -> list[Entry]:
    where = {"account": account, "folder": folder}
    entries: dict[str, Entry] = {}
    if folder is not Folder.INBOX:
        for row in reader.execute(_MESSAGES.order_by(messages.c.seq), where):
            entries[row.name] = _of_message(row, folder)
    if folder in (Folder.INBOX, Folder.FAILBOX):
        for row in reader.execute(_RECEIPTS.order_by(receipts.c.id), where):
            entries[row.name] = _of_receipt(row, folder)
    return list(entries.values())


def _entry(reader: Connection, account: str, folder: Folder, name: str) -> Entry | None:
    where = {"account": account, "folder": folder, "wanted": name}
    if folder in (Folder.INBOX, Folder.FAILBOX):
        row = reader.execute(_RECEIPTS.where(receipts.c.name == bindparam("wanted")), where).first()
        if row is not None:
            return _of_receipt(row, folder)
    if folder is not Folder.INBOX:
        newest = _MESSAGES.where(messages.c.name == bindparam("wanted")).order_by(messages.c.seq.desc())
        row = reader.execute(newest.limit(1), where).first()
        if row is not None:
            return _of_message(row, folder)
    return None


def _of_message(row: Row[*tuple[Any, ...]], folder: Folder) -> Entry:
    return Entry(folder=folder, name=row.name, size=row.size, at=row.moved_at, sha256=row.sha256)


def _of_receipt(row: Row[*tuple[Any, ...]], folder: Folder) -> Entry:
    return Entry(folder=folder, name=row.name, size=row.size, at=row.created_at, receipt=row.id)

"""An accepted upload gets the name that its sender intended."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, bindparam, insert, select, update

from adapters.store.apply import apply_as_read
from adapters.store.database import Transaction
from adapters.store.tables.messages import messages
from adapters.store.tables.operations import former_names
from gateway.model.folders import Folder
from gateway.model.states import State
from gateway.model.transition import Note
from gateway.receive.ports import MailboxEntry
from gateway.receive.renaming import RENAMED_WITHIN, NotRenamed, renamed

_NAMED: Final = select(messages).where(
    messages.c.account == bindparam("account"),
    messages.c.folder.in_([Folder.OUTBOX, Folder.SENTBOX, Folder.FAILBOX]),
    messages.c.name == bindparam("name"),
)
_TAKEN: Final = (
    _NAMED.where(messages.c.channel == "sftp", messages.c.received_at >= bindparam("since"))
    .order_by(messages.c.seq.desc())
    .limit(1)
)
_SAME_NAME: Final = _NAMED.where(messages.c.folder == Folder.OUTBOX).limit(1)
_CHANGE: Final = update(messages).where(messages.c.seq == bindparam("message_seq"))
_NOTE: Final = insert(former_names)


def rename(transaction: Transaction, account: str, name: str, to: str, now: datetime) -> MailboxEntry | None:
    """Implements `gateway.receive.ports.Mailbox.rename`, in one commit with its event."""
    connection = transaction.connection
    row = connection.execute(
        _TAKEN, {"account": account, "name": name, "since": now - RENAMED_WITHIN}
    ).first()
    if row is None or name == to:
        return None if row is None else _entry(row.name, row)
    if connection.execute(_SAME_NAME, {"account": account, "name": to}).first() is not None:
        raise NotRenamed("OutBox has another file of the new name")
    change = renamed(row.id, State(row.state), row.type, account, name, to, now)
    connection.execute(_NOTE, {"seq": row.seq, "name": name, "at": now})
    if isinstance(change, Note):
        # A message that waits for its first judgement stays at revision 0: it is counted then.
        revision = row.revision + (row.state != State.RECEIVED)
        connection.execute(_CHANGE, {"message_seq": row.seq, "name": to, "revision": revision})
    apply_as_read(transaction, change)
    return _entry(to, row)


def _entry(name: str, row: Row[*tuple[Any, ...]]) -> MailboxEntry:
    return MailboxEntry(
        folder=Folder(row.folder), name=name, size=row.size, at=row.moved_at, sha256=row.sha256
    )

"""A file that was taken gets the name that its sender meant."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, bindparam, func, insert, select, update

from adapters.store.database import Transaction
from adapters.store.tables.messages import messages
from adapters.store.tables.operations import former_names
from gateway.model.message import ATTACHMENT
from gateway.model.ports import Entry, Folder
from gateway.model.states import Event, State, advance
from gateway.receive.mailbox import RENAMED_WITHIN, NotRenamed

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
_IN_THE_WAY: Final = _NAMED.where(messages.c.folder == Folder.OUTBOX).limit(1)
_CHANGE: Final = update(messages).where(messages.c.seq == bindparam("wanted"))
# What is to be judged: it is found by what it waits for or by its own name, and both change.
_ANEW: Final = {
    "folder": Folder.OUTBOX,
    "attempts": 0,
    "lease_until": None,
    "not_before": None,
    "waiting_for": None,
    "until": None,
}
_NOTE: Final = insert(former_names)
NAMED_AT: Final = (
    select(func.max(former_names.c.at))
    .join(messages, messages.c.seq == former_names.c.seq)
    .where(messages.c.id == bindparam("of"))
)


def rename(transaction: Transaction, account: str, name: str, to: str, now: datetime) -> Entry | None:
    """ports.Mailbox.rename, in one commit with its event."""
    connection = transaction.connection
    row = connection.execute(
        _TAKEN, {"account": account, "name": name, "since": now - RENAMED_WITHIN}
    ).first()
    if row is None or name == to:
        return None if row is None else _entry(row.name, row)
    if connection.execute(_IN_THE_WAY, {"account": account, "name": to}).first() is not None:
        raise NotRenamed("OutBox has another file of the new name")
    before = state = State(row.state)
    anew: dict[str, object] = {}
    if row.type == ATTACHMENT:
        if before in (State.ACCEPTED, State.DELIVERED, State.CLOSED):
            raise NotRenamed("The document is part of a declaration already and keeps its name")
        if before in (State.WAITING, State.REJECTED):
            state, anew = advance(before, Event.RENAMED), {**_ANEW, "moved_at": now}
    # What is still to be judged for the first time stays so: it is counted then.
    revision = row.revision + (before is not State.RECEIVED)
    connection.execute(_CHANGE, {"wanted": row.seq, "name": to, "state": state, "revision": revision, **anew})
    connection.execute(_NOTE, {"seq": row.seq, "name": name, "at": now})
    transaction.log(row.id, now, Event.RENAMED, account, state, name=name, to=to, anew=bool(anew) or None)
    return _entry(to, row)


def _entry(name: str, row: Row[*tuple[Any, ...]]) -> Entry:
    return Entry(folder=Folder(row.folder), name=name, size=row.size, at=row.moved_at, sha256=row.sha256)

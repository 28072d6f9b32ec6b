"""Receipts as operators see them, and restoring one that its account has removed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, bindparam, select, update

from adapters.store.claims import queue_for_posting
from adapters.store.database import Database, Transaction
from adapters.store.read.message_search import plain
from adapters.store.tables.messages import UNREADABLE, messages, parties, receipts
from adapters.store.tables.queues import to_post
from gateway.model.parties import Delivery
from gateway.model.states import State
from gateway.operate.ports import RemovableReceipt, RestoreDecision
from gateway.operate.receipts import RESTORED

_AT_ONCE: Final = 500
REMOVED: Final = "receipt-removed"
_POST_AT: Final = (
    select(to_post.c.due_at)
    .where(to_post.c.item == receipts.c.id)
    .correlate(receipts)
    .scalar_subquery()
    .label("post_at")
)
_SHOWN: Final[Sequence[ColumnElement[Any]]] = [
    *(receipts.c.id, receipts.c.message, receipts.c.account, receipts.c.folder, receipts.c.name),
    *(receipts.c.kind, receipts.c.verdict, receipts.c.final, receipts.c.superseded, receipts.c.size),
    *(receipts.c.created_at, receipts.c.collected_at, receipts.c.removed_at, _POST_AT),
]
_ONE: Final = select(receipts).where(receipts.c.id == bindparam("receipt_id"))
_DELIVERY: Final = select(parties.c.delivery).where(parties.c.account == bindparam("account"))
_STATE: Final = select(messages.c.state).where(messages.c.id == bindparam("message_id"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptFilter:
    """Selects receipts; None means any. `removed`: only those that their accounts removed."""

    account: str | None = None
    message: str | None = None
    since: datetime | None = None
    removed: bool = False


class Damaged(Exception):
    """Receipts with unreadable columns, by their numbers: the text says what is unreadable."""

    def __init__(self, columns: Mapping[int, Sequence[str]]) -> None:
        super().__init__("; ".join(f"receipt {id_}: {', '.join(names)}" for id_, names in columns.items()))


def list_receipts(reader: Connection, filter_: ReceiptFilter, limit: int) -> list[dict[str, Any]]:
    """The newest receipts, oldest first; all if `limit` is 0. A damaged receipt is listed with what can be
    read, and `damaged` names the rest."""
    query = select(receipts.c.id).order_by(receipts.c.id.desc())
    for column, value in ((receipts.c.account, filter_.account), (receipts.c.message, filter_.message)):
        if value is not None:
            query = query.where(column == value)
    if filter_.since is not None:
        query = query.where(receipts.c.created_at >= filter_.since)
    if filter_.removed:
        query = query.where(receipts.c.removed_at.is_not(None))
    chosen = reader.execute(query.limit(limit) if limit else query).scalars().all()[::-1]
    return [
        row for start in range(0, len(chosen), _AT_ONCE) for row in _read(reader, chosen[start:][:_AT_ONCE])
    ]


def _read(reader: Connection, ids: Sequence[int]) -> list[dict[str, Any]]:
    query = select(*_SHOWN).where(receipts.c.id.in_(ids)).order_by(receipts.c.id)
    try:
        return [_plain(row) for row in reader.execute(query)]
    except UNREADABLE:
        return [_readable_columns(reader, id_) for id_ in ids]


def _readable_columns(reader: Connection, id_: int) -> dict[str, Any]:
    try:
        return _plain(reader.execute(select(*_SHOWN).where(receipts.c.id == id_)).one())
    except UNREADABLE:
        wrong = damaged(reader, id_)
    sound = [column for column in _SHOWN if column.name not in wrong]
    row = reader.execute(select(*sound).where(receipts.c.id == id_)).one()
    shown = {column.name: None for column in _SHOWN} | {n: plain(v) for n, v in row._mapping.items()}
    del shown["superseded"]
    return shown | {"damaged": wrong}


def damaged(reader: Connection, id_: int) -> list[str]:
    """The columns of a receipt whose content the gateway never writes."""
    wrong = []
    for column in (*_SHOWN, receipts.c.body):
        try:
            value = reader.execute(select(column).where(receipts.c.id == id_)).scalar_one()
        except UNREADABLE:
            wrong.append(column.name)
        else:  # SQLite stores text in a column of bytes without an error
            if column is receipts.c.body and not isinstance(value, bytes):
                wrong.append(column.name)
    return wrong


def find_receipts(reader: Connection, number_or_name: str) -> Sequence[Row[*tuple[Any, ...]]]:
    """The receipts with this number or name, with their bytes. Raises `Damaged`."""
    by = receipts.c.name == number_or_name
    if number_or_name.isascii() and number_or_name.isdecimal() and len(number_or_name) < 19:
        by = receipts.c.id == int(number_or_name)
    ids = reader.execute(select(receipts.c.id).where(by)).scalars().all()
    if unreadable := {id_: names for id_ in ids if (names := damaged(reader, id_))}:
        raise Damaged(unreadable)
    return reader.execute(select(receipts, _POST_AT).where(by).order_by(receipts.c.id)).all()


def facts(row: Row[*tuple[Any, ...]]) -> dict[str, Any]:
    return _plain(row)


def removals(reader: Connection, message: str) -> Iterator[dict[str, Any]]:
    """The removals of its receipts, in the form of events: no event was written for them."""
    removed = select(*_SHOWN, messages.c.state).join(messages, messages.c.id == receipts.c.message)
    for row in reader.execute(
        removed.where(receipts.c.message == message, receipts.c.removed_at.is_not(None))
    ):
        yield {
            "sequence": None,
            "at": row.removed_at.isoformat(),
            "event": REMOVED,
            "actor": row.account,
            "state": row.state,
            "detail": {"receipt": row.name},
            "digest": "",
        }


class SqlReceiptActs:
    """gateway.operate.ports.ReceiptStore over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put_back(self, receipt: int, decide: RestoreDecision, actor: str, reason: str, now: datetime) -> None:
        self._database.submit(lambda to: _put_back(to, receipt, decide, actor, reason, now)).result()


def _put_back(
    transaction: Transaction, receipt: int, decide: RestoreDecision, actor: str, reason: str, now: datetime
) -> None:
    row = transaction.connection.execute(_ONE, {"receipt_id": receipt}).one()
    delivery = transaction.connection.execute(_DELIVERY, {"account": row.account}).scalar()
    due = decide(RemovableReceipt(row.removed_at, None if delivery is None else Delivery(delivery)))
    back = {"removed_at": None, "collected_at": None}
    transaction.connection.execute(update(receipts).where(receipts.c.id == receipt).values(back))
    if due is not None:
        queue_for_posting(transaction, [(receipt, row.account, due)])
    state = transaction.connection.execute(_STATE, {"message_id": row.message}).scalar_one()
    detail = {"receipt": row.name, "account": row.account, "removed_at": row.removed_at.isoformat()}
    transaction.log(row.message, now, RESTORED, actor, State(state), reason=reason, **detail)


def _plain(row: Row[*tuple[Any, ...]]) -> dict[str, Any]:
    shown = {column.name: plain(row._mapping[column.name]) for column in _SHOWN}
    superseded = shown.pop("superseded")
    return {**shown, "verdict": row.verdict or None, "final": row.final and not superseded}

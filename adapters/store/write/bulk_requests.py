"""Requests of operators in the store: written with their messages in one commit, then carried out message by
message.

Carrying out one item closes it and changes its message in the same commit: whoever continues a request, and
however many do so at once, each message is changed once.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from adapters.store.database import Transaction
from adapters.store.tables.messages import messages
from adapters.store.tables.operations import undertaking_items as items
from adapters.store.tables.operations import undertakings
from gateway.model.policy import OperationsPolicy
from gateway.model.transition import Applied, Refusal
from gateway.operate.bulk_requests import (
    BulkRequest,
    ItemOutcome,
    NothingChosen,
    RequestStatus,
    RequestTerms,
    check_decision,
    check_same,
    check_still,
    initial_status,
)
from gateway.operate.message_actions import Impossible, MessageAct, ReplayStage

_BY_KEY: Final = select(undertakings).where(undertakings.c.request_key == bindparam("key"))
_BY_ID: Final = select(undertakings).where(undertakings.c.id == bindparam("request_id"))
_CHANGE: Final = update(undertakings).where(undertakings.c.id == bindparam("request_id"))
_OPEN_ITEM: Final = (
    (items.c.undertaking == bindparam("request_id")),
    (items.c.message == bindparam("message_id")),
    (items.c.outcome == ItemOutcome.OPEN.value),
)
_ITEM: Final = select(items.c.message).where(*_OPEN_ITEM)
_SETTLE: Final = update(items).where(*_OPEN_ITEM)
_MOVED: Final = select(messages.c.moved_at).where(messages.c.id == bindparam("message_id"))


def write_request(
    transaction: Transaction,
    id_: str,
    request: RequestTerms,
    chosen: Callable[[Connection], Sequence[str]],
    policy: OperationsPolicy,
    now: datetime,
) -> str:
    """Writes a request under `id_` with the messages that `chosen` returns now. Returns its id: the id of the
    earlier request if the key was used for the same one.

    Raises `OtherRequest` if the key was used for something else, and `NothingChosen`.
    """
    if request.key is not None:
        row = transaction.connection.execute(_BY_KEY, {"key": request.key}).first()
        if row is not None:
            check_same(_request_of(row), request)
            return str(row.id)
    ids = list(dict.fromkeys(chosen(transaction.connection)))
    if not ids:
        raise NothingChosen
    transaction.connection.execute(
        insert(undertakings),
        {
            "id": id_,
            "request_key": request.key,
            "act": request.act,
            "stage": request.stage or "",
            "wanted": request.criteria,
            "reason": request.reason,
            "state": initial_status(request.act, ids, policy),
            "actor": request.actor,
            "created_at": now,
        },
    )
    transaction.connection.execute(
        insert(items),
        [
            {"undertaking": id_, "message": message, "outcome": ItemOutcome.OPEN, "note": ""}
            for message in ids
        ],
    )
    return id_


def decide(
    transaction: Transaction, id_: str, actor: str, decision: RequestStatus, words: str, now: datetime
) -> None:
    """Approves (`OPEN`) or refuses a request that waits for a second person. Raises `KeyError`,
    `Impossible`."""
    request = find_request(transaction.connection, id_)
    check_decision(request.progress, request.request.actor, actor, decision)
    changed: dict[str, object] = {
        "request_id": id_,
        "state": decision,
        "decided_by": actor,
        "decided_at": now,
        "decision": words,
    }
    if decision is RequestStatus.REFUSED:
        changed["ended_at"] = now
    transaction.connection.execute(_CHANGE, changed)


def carry_out(
    transaction: Transaction,
    request: BulkRequest,
    message: str,
    change: Callable[[Transaction], Applied | Refusal],
    now: datetime,
) -> Refusal | None:
    """Carries out the request for one message, unless that was done before; if it is impossible, this is
    noted. Where the change is refused nothing is written."""
    item = {"request_id": request.id, "message_id": message}
    if transaction.connection.execute(_ITEM, item).first() is None:
        return None
    moved_at = transaction.connection.execute(_MOVED, {"message_id": message}).scalar_one()
    try:
        check_still(request.request, request.created_at, moved_at)
        changed = change(transaction)
        if isinstance(changed, Refusal):
            return changed
        outcome, note = ItemOutcome.DONE, str(changed.state)
    except Impossible as error:
        outcome, note = ItemOutcome.IMPOSSIBLE, str(error)
    transaction.connection.execute(_SETTLE, {**item, "outcome": outcome, "note": note, "at": now})
    return None


def end(transaction: Transaction, id_: str, now: datetime) -> None:
    """Marks the request as done if none of its items is open any more."""
    if not open_messages(transaction.connection, id_, 1):
        done = update(undertakings).where(
            undertakings.c.id == id_, undertakings.c.state == RequestStatus.OPEN
        )
        transaction.connection.execute(done.values(state=RequestStatus.DONE, ended_at=now))


def find_request(reader: Connection, id_: str) -> BulkRequest:
    """Raises `KeyError` if there is no request with this id."""
    row = reader.execute(_BY_ID, {"request_id": id_}).first()
    if row is None:
        raise KeyError(id_)
    progress = RequestStatus(row.state)
    return BulkRequest(
        id=row.id,
        request=_request_of(row),
        progress=progress,
        approved_by=None if progress is RequestStatus.REFUSED else row.decided_by,
        created_at=row.created_at,
    )


def _request_of(row: Row[*tuple[Any, ...]]) -> RequestTerms:
    return RequestTerms(
        act=MessageAct(row.act),
        stage=ReplayStage(row.stage) if row.stage else None,
        criteria=row.wanted,
        reason=row.reason,
        actor=row.actor,
        key=row.request_key,
    )


def open_messages(reader: Connection, id_: str, limit: int = 0) -> list[str]:
    """Its messages that are not dealt with yet, in the order of their ids; all if `limit` is 0."""
    query = select(items.c.message).where(
        items.c.undertaking == id_, items.c.outcome == ItemOutcome.OPEN.value
    )
    query = query.order_by(items.c.message)
    return list(reader.execute(query.limit(limit) if limit else query).scalars())


def list_requests(
    reader: Connection, state: RequestStatus | None, limit: int, since: datetime | None = None
) -> list[dict[str, Any]]:
    """The newest `limit` requests (0: all) made at `since` or later, oldest first, with the outcomes of their
    messages."""
    query = select(undertakings).order_by(undertakings.c.id.desc())
    if state is not None:
        query = query.where(undertakings.c.state == state)
    if since is not None:
        query = query.where(undertakings.c.created_at >= since)
    rows = reader.execute(query.limit(limit) if limit else query).all()
    return [_listed(reader, row) for row in reversed(rows)]


def show_request(reader: Connection, id_: str) -> dict[str, Any]:
    """One request with the outcome of each of its messages. Raises `KeyError`."""
    row = reader.execute(_BY_ID, {"request_id": id_}).first()
    if row is None:
        raise KeyError(id_)
    own = select(items).where(items.c.undertaking == id_).order_by(items.c.message)
    return {
        **_listed(reader, row),
        "decision": row.decision or None,
        "items": [
            {"message": item.message, "outcome": item.outcome, "note": item.note, "at": _plain(item.at)}
            for item in reader.execute(own)
        ],
    }


def _listed(reader: Connection, row: Row[*tuple[Any, ...]]) -> dict[str, Any]:
    counted = reader.execute(
        select(items.c.outcome, func.count()).where(items.c.undertaking == row.id).group_by(items.c.outcome)
    )
    counts = {str(outcome): int(number) for outcome, number in counted}
    return {
        "id": row.id,
        "request_key": row.request_key,
        "act": row.act,
        "stage": row.stage or None,
        "wanted": row.wanted,
        "reason": row.reason,
        "state": row.state,
        "actor": row.actor,
        "created_at": row.created_at.isoformat(),
        "decided_by": row.decided_by,
        "decided_at": _plain(row.decided_at),
        "ended_at": _plain(row.ended_at),
        "messages": sum(counts.values()),
        **{str(outcome): counts.get(outcome, 0) for outcome in ItemOutcome},
    }


def _plain(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()

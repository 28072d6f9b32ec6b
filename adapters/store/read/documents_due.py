"""The documents that declarations owe, as operators see them. Read-only, works beside a running node."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, Text, and_, cast, func, or_, select

from adapters.store.tables.messages import OWED, messages, obligations, requests
from gateway.model.message import Operation
from gateway.model.reform import Due
from gateway.model.states import CustomsStatus

_OWED: Final = select(
    messages.c.id,
    messages.c.reference,
    messages.c.account,
    messages.c.entry_id,
    messages.c.seq_no,
    messages.c.customs_status,
    obligations.c.due,
    obligations.c.documents,
    obligations.c.missing,
    obligations.c.sources,
    obligations.c.released_at,
    obligations.c.due_at,
    obligations.c.remind_at,
    obligations.c.reminded,
    obligations.c.fulfilled_at,
).join(obligations, obligations.c.message == messages.c.id)
# Owed by a declaration in progress, whether it is released yet or not.
_OPEN: Final = (
    obligations.c.due == Due.AFTER_RELEASE,
    cast(obligations.c.missing, Text) != "[]",
    obligations.c.fulfilled_at.is_(None),
    messages.c.customs_status.not_in((CustomsStatus.DELETED, CustomsStatus.REFUSED)),
)
# Customs may ask for documents that no table demands, for any declaration.
_ASKED: Final = messages.c.customs_status.in_((CustomsStatus.SUPPLEMENT_ASKED, CustomsStatus.PAPER_ASKED))


def list_owed(
    reader: Connection, now: datetime, *, only_open: bool, overdue: bool, account: str | None, limit: int
) -> list[dict[str, Any]]:
    """The newest `limit` declarations (0: all) with the documents that they owe, oldest first. `only_open`:
    those whose documents are still to follow, and those for which customs waits for documents; `overdue`:
    those whose deadline has passed."""
    query = _OWED.order_by(messages.c.seq.desc())
    if overdue:
        query = query.where(*_OPEN, obligations.c.due_at < now)
    elif only_open:
        query = query.where(or_(and_(*_OPEN), _ASKED))
    if account is not None:
        query = query.where(messages.c.account == account)
    rows = reader.execute(query.limit(limit) if limit else query).all()
    return [_owed(row, now) for row in reversed(rows)]


def count_overdue(reader: Connection, now: datetime) -> int:
    """How many declarations `list_owed` would list as overdue."""
    joined = obligations.join(messages, messages.c.id == obligations.c.message)
    owed = select(func.count()).select_from(joined)
    return int(reader.execute(owed.where(OWED, *_OPEN, obligations.c.due_at < now)).scalar_one())


def show_owed(reader: Connection, number: str, now: datetime) -> dict[str, Any] | None:
    """The newest declaration with this message id, reference, SeqNo or entry number: what it owes, what its
    parties were asked for, and the documents that arrived. None if no such declaration was accepted."""
    row = reader.execute(
        _OWED.where(
            or_(
                messages.c.id == number,
                messages.c.reference == number,
                messages.c.seq_no == number,
                messages.c.entry_id == number,
            )
        )
        .order_by(messages.c.seq.desc())
        .limit(1)
    ).first()
    if row is None:
        return None
    asked = select(requests).where(requests.c.message == row.id).order_by(requests.c.id)
    return {
        **_owed(row, now),
        "sources": row.sources,
        "remind_at": _plain(row.remind_at),
        "requests": [_request(request) for request in reader.execute(asked)],
        "packages": [_package(package) for package in reader.execute(_packages_of(row.id))],
    }


def _packages_of(declaration: str) -> Select[Any]:
    return (
        select(messages)
        .where(
            messages.c.linked == declaration,
            messages.c.kind == "inbound",
            messages.c.operation == Operation.INFORM,
        )
        .order_by(messages.c.seq)
    )


def _owed(row: Row[*tuple[Any, ...]], now: datetime) -> dict[str, Any]:
    unfulfilled = row.fulfilled_at is None and row.due_at is not None
    return {
        "id": row.id,
        "reference": row.reference,
        "account": row.account,
        "entry_id": row.entry_id,
        "customs_status": row.customs_status,
        "due": row.due,
        "documents": row.documents,
        "missing": row.missing,
        "released_at": _plain(row.released_at),
        "due_at": _plain(row.due_at),
        "overdue": unfulfilled and row.due_at < now,
        "reminded": row.reminded,
        "fulfilled_at": _plain(row.fulfilled_at),
    }


def _request(row: Row[*tuple[Any, ...]]) -> dict[str, Any]:
    return {
        "at": row.at.isoformat(),
        "why": row.why,
        "documents": row.documents,
        "due_at": _plain(row.due_at),
        "note": row.note,
        "told_at": _plain(row.told_at),
    }


def _package(row: Row[*tuple[Any, ...]]) -> dict[str, Any]:
    codes: Sequence[str] = row.facts.get("codes", "").split()
    return {
        "id": row.id,
        "received_at": row.received_at.isoformat(),
        "account": row.account,
        "name": row.name,
        "state": row.state,
        "documents": list(codes),
    }


def _plain(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat()

"""Messages as operators see them, with trail, deliveries and receipts. Read-only, works beside a running
node."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, exists, or_, select, union

from adapters.store.read.delivery_detail import list_deliveries
from adapters.store.read.message_context import message_context
from adapters.store.read.message_search import ATTEMPTS, listed, plain
from adapters.store.read.message_status import status_of
from adapters.store.tables.messages import events, messages, receipts
from adapters.store.tables.operations import former_names, replies
from adapters.store.tables.queues import to_post
from gateway.model.states import CustomsStatus, Event, State
from gateway.operate.next_step import Repeated, Situation, next_needed

_AT_ONCE: Final = 500
# Repeats need no further work: the same file had come before, and its receipts were given again.
_IS_REPEAT: Final = exists().where(events.c.message == messages.c.id, events.c.event == Event.REPEATED)


def find_messages(reader: Connection, number: str) -> Sequence[Row[*tuple[Any, ...]]]:
    """The message with this id; otherwise those with this reference, SeqNo or entry number, this AMQP message
    id of the sender, or this name before a renaming. At most ten: newest first, repeats only if there are no
    others."""
    columns = (messages, _IS_REPEAT.label("is_repeat"))
    by_id = reader.execute(select(*columns).where(messages.c.id == number)).all()
    if by_id:
        return by_id
    # Each condition by its own index, then by place: `OR` over two tables would read all of one.
    numbered = select(messages.c.seq).where(
        messages.c.kind == "inbound",
        or_(messages.c.reference == number, messages.c.seq_no == number, messages.c.entry_id == number),
    )
    named = (
        select(messages.c.seq)
        .join(replies, replies.c.message == messages.c.id)
        .where(replies.c.message_id == number)
    )
    renamed = select(former_names.c.seq).where(former_names.c.name == number)
    return reader.execute(
        select(*columns)
        .where(messages.c.seq.in_(union(numbered, named, renamed)))
        .order_by(_IS_REPEAT, messages.c.seq.desc())
        .limit(10)
    ).all()


def beside(reader: Connection, ids: Sequence[str]) -> dict[str, dict[str, str | None]]:
    """What distinguishes listed messages with the same reference: the file name, and which message they
    repeat."""
    columns = (messages.c.id, messages.c.name, messages.c.linked, _IS_REPEAT.label("is_repeat"))
    shown: dict[str, dict[str, str | None]] = {}
    for start in range(0, len(ids), _AT_ONCE):
        some = select(*columns).where(messages.c.id.in_(ids[start : start + _AT_ONCE]))
        for row in reader.execute(some):
            shown[row.id] = {"name": row.name, "repeat_of": row.linked if row.is_repeat else None}
    return shown


def show_message(reader: Connection, row: Row[*tuple[Any, ...]], now: datetime) -> dict[str, Any]:
    """Everything known about a message: the listed columns, its findings, its outcome, and what it needs next
    (None for an answer)."""
    extra = (
        "name",
        "channel",
        "sha256",
        "seq_no",
        "entry_id",
        "operation",
        "linked",
        "reason",
        "answer_due",
        "facts",
        "findings",
    )
    return {
        **listed(row),
        "attempts": reader.execute(select(ATTEMPTS).where(messages.c.seq == row.seq)).scalar_one(),
        **{name: plain(row._mapping[name]) for name in extra},
        "next": _next(reader, row, now),
        "receipts": [
            {
                "name": receipt.name,
                "account": receipt.account,
                "folder": receipt.folder,
                "kind": receipt.kind,
                "verdict": receipt.verdict or None,
                "final": receipt.final and not receipt.superseded,
                "created_at": receipt.created_at.isoformat(),
                "collected_at": plain(receipt.collected_at),
                "removed_at": plain(receipt.removed_at),
                "post_at": plain(receipt.due_at),
            }
            for receipt in reader.execute(
                select(receipts, to_post.c.due_at)
                .outerjoin(to_post, to_post.c.item == receipts.c.id)
                .where(receipts.c.message == row.id)
                .order_by(receipts.c.id)
            )
        ],
        "steps": [
            {"step": step, "at": event["at"]}
            for event in trace_message(reader, row.id)
            if (step := event["detail"].get("step"))
        ],
        "deliveries": list_deliveries(reader, message=row.id, limit=0),
        **message_context(reader, row),
    }


def _next(reader: Connection, row: Row[*tuple[Any, ...]], now: datetime) -> dict[str, str] | None:
    if row.kind != "inbound":
        return None
    situation = Situation(
        status=status_of(reader, row),
        reason=row.reason,
        waiting_for=row.waiting_for,
        until=row.until,
        answer_due=row.answer_due,
        customs_status=CustomsStatus(row.customs_status),
        repeats=_repeated(reader, row),
    )
    return asdict(next_needed(situation, now))


def _repeated(reader: Connection, row: Row[*tuple[Any, ...]]) -> Repeated | None:
    was_repeated = exists().where(events.c.message == row.id, events.c.event == Event.REPEATED)
    query = select(messages.c.id, messages.c.state).where(messages.c.id == row.linked, was_repeated)
    first = reader.execute(query).first()
    return None if first is None else Repeated(message=first.id, state=State(first.state))


def trace_message(reader: Connection, message: str) -> list[dict[str, Any]]:
    """The events of a message, oldest first, each with its place in the log and the log's digest there."""
    return [
        {
            "sequence": row.sequence,
            "at": row.at.isoformat(),
            "event": row.event,
            "actor": row.actor,
            "state": row.state,
            "detail": json.loads(row.detail),
            "digest": row.digest,
        }
        for row in reader.execute(
            select(events).where(events.c.message == message).order_by(events.c.sequence)
        )
    ]


def receipt_body(reader: Connection, name: str) -> bytes | None:
    """The newest receipt with this name, of any account."""
    body = reader.execute(
        select(receipts.c.body).where(receipts.c.name == name).order_by(receipts.c.id.desc()).limit(1)
    ).scalar_one_or_none()
    return None if body is None else bytes(body)

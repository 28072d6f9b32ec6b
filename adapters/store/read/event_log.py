"""Committed events from a given place in the log. Read-only, works beside a running node."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, select

from adapters.store.tables.messages import events, messages
from gateway.model.states import State

_AT_ONCE: Final = 500
_OF_MESSAGE: Final = ("account", "party", "family", "type", "reference")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Selects the events that match all fields. `message` is an id, `party` a customs code."""

    account: str | None = None
    party: str | None = None
    event: str | None = None
    state: State | None = None
    message: str | None = None


def end_of_log(reader: Connection) -> int:
    """The sequence of the last event, 0 if there is none."""
    return reader.execute(select(func.max(events.c.sequence))).scalar() or 0


def sequence_before(reader: Connection, at: datetime) -> int:
    """The sequence after which all events of `at` and later stand. The log is in commit order and therefore
    nearly in time order: a binary search finds the place, and reads no other events."""
    low, high = 0, end_of_log(reader)
    while low < high:
        middle = (low + high) // 2
        then = select(events.c.at).where(events.c.sequence > middle).order_by(events.c.sequence).limit(1)
        if reader.execute(then).scalar_one() < at:
            low = middle + 1
        else:
            high = middle
    return low


def events_after(reader: Connection, after: int, end: int, filter_: EventFilter) -> Iterator[dict[str, Any]]:
    """Events after the sequence `after` up to `end`, in order, with details of their messages."""
    chosen = list(_conditions(filter_))
    while True:
        query = (
            select(events, *(messages.c[name] for name in _OF_MESSAGE))
            .outerjoin(messages, messages.c.id == events.c.message)
            .where(events.c.sequence > after, events.c.sequence <= end, *chosen)
            .order_by(events.c.sequence)
            .limit(_AT_ONCE)
        )
        rows: Sequence[Any] = reader.execute(query).all()
        for row in rows:
            yield {
                "sequence": row.sequence,
                "at": row.at.isoformat(timespec="milliseconds"),
                "message": row.message,
                **{name: row._mapping[name] for name in _OF_MESSAGE},
                "event": row.event,
                "state": row.state,
                "actor": row.actor,
                "detail": json.loads(row.detail),
            }
        if len(rows) < _AT_ONCE:
            return
        after = rows[-1].sequence


def _conditions(filter_: EventFilter) -> Iterator[ColumnElement[bool]]:
    for column, value in (
        (messages.c.account, filter_.account),
        (messages.c.party, filter_.party),
        (events.c.event, filter_.event),
        (events.c.state, filter_.state),
        (events.c.message, filter_.message),
    ):
        if value is not None:
            yield column == value

"""Converts times of receipt and ids to places in the table of messages, so that lists of a time range read
only that part."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Connection, Subquery, func, select

from adapters.store.tables.messages import messages
from gateway.model.message import new_id

# Ids contain the time of receipt, and rows are written a little later than their ids are made: the first by
# time need not be the first by place, but it is among this many.
_NEAR: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRange:
    """The places after `low` up to `high`; rows outside the time range are excluded by their own times."""

    low: int | None
    high: int | None
    since: datetime | None
    before: datetime | None

    def holds(self, place: ColumnElement[int]) -> Iterator[ColumnElement[bool]]:
        if self.low is not None:
            yield place > self.low
        if self.high is not None:
            yield place <= self.high
        if self.since is not None:
            yield messages.c.received_at >= self.since
        if self.before is not None:
            yield messages.c.received_at < self.before


def time_range(
    reader: Connection, since: datetime | None, before: datetime | None, after: str | None
) -> TimeRange:
    """The places of the messages received from `since` until before `before`, after the id `after`."""
    lows = []
    if since is not None:
        first = _near(messages.c.id >= _id_at(since), messages.c.id.asc())
        # None: no message is that new.
        lows.append((reader.execute(select(func.min(first.c.seq))).scalar() or _END) - 1)
    if after is not None:
        last = select(messages.c.seq).where(messages.c.id <= after).order_by(messages.c.id.desc()).limit(1)
        lows.append(reader.execute(last).scalar() or 0)
    high = None
    if before is not None:
        # Ids have a resolution of milliseconds.
        end = _near(messages.c.id < _id_at(before + timedelta(milliseconds=1)), messages.c.id.desc())
        high = reader.execute(select(func.max(end.c.seq))).scalar() or 0
    return TimeRange(low=max(lows, default=None), high=high, since=since, before=before)


_END: Final = 1 << 62


def _near(where: ColumnElement[bool], order: ColumnElement[str]) -> Subquery:
    return select(messages.c.seq).where(where).order_by(order).limit(_NEAR).subquery()


def _id_at(at: datetime) -> str:
    return new_id(max(at, datetime(1970, 1, 1, tzinfo=UTC)), bytes(10))

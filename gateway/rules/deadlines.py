"""When documents are due after a release, and when the parties are reminded (R4), in calendar days of
China."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from gateway.model.china import CHINA, china_date
from gateway.model.obligation import Deadline

_LAST_SECOND: Final = time(23, 59, 59)
_A_SECOND: Final = timedelta(seconds=1)


def deadline(released_at: datetime, days: int, reminders: Iterable[int]) -> Deadline:
    """The deadline of documents that are due `days` after the day of release. `reminders` are days before the
    deadline; each reminder is sent from the beginning of its day."""
    day = china_date(released_at) + timedelta(days=days)
    due_at = _instant(day, _LAST_SECOND)
    return Deadline(due_at=due_at, remind_at=_first_after(released_at, due_at, reminders))


def next_reminder(due_at: datetime, reminders: Iterable[int], now: datetime) -> datetime | None:
    """When the next reminder after `now` is sent; None after the deadline, since the notice that documents
    are overdue is the last."""
    return None if now > due_at else _first_after(now, due_at, reminders)


def _first_after(now: datetime, due_at: datetime, reminders: Iterable[int]) -> datetime:
    day = china_date(due_at)
    begins = (_instant(day - timedelta(days=before), time()) for before in reminders)
    return min((at for at in begins if at > now), default=due_at + _A_SECOND)


def _instant(day: date, at: time) -> datetime:
    return datetime.combine(day, at, CHINA).astimezone(UTC)

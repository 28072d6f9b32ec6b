"""Alarms in the store: one row from the opening of each to its clearing, kept."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, bindparam, insert, or_, select, update

from adapters.stores.database import Transaction
from adapters.stores.operating_tables import OPEN_ALARM, alarms
from gateway.alarms import Alarm, Changes, Condition, News, Severity, Telling

_OPEN: Final = select(alarms).where(OPEN_ALARM).order_by(alarms.c.id)
# Those whose clearing is still to be told are few: it is told or given up soon after.
_TO_TELL: Final = (
    select(alarms)
    .where(or_(OPEN_ALARM, and_(alarms.c.told_at.is_not(None), alarms.c.clear_told_at.is_(None))))
    .order_by(alarms.c.id)
)
_OF_ID: Final = alarms.c.id == bindparam("wanted")
_OPENED: Final = insert(alarms)
_CHANGED: Final = update(alarms).where(_OF_ID)


def open_alarms(reader: Connection) -> list[Alarm]:
    return [_alarm(row) for row in reader.execute(_OPEN)]


def to_tell(reader: Connection) -> list[Alarm]:
    """The open ones, and those of which it was told that they opened and not yet that they cleared."""
    return [_alarm(row) for row in reader.execute(_TO_TELL)]


def list_alarms(reader: Connection, *, all_: bool, limit: int) -> list[dict[str, Any]]:
    """The newest `limit` (0: all), the oldest of them first; cleared ones as well where `all_`."""
    query = select(alarms).order_by(alarms.c.id.desc())
    if not all_:
        query = query.where(OPEN_ALARM)
    if limit:
        query = query.limit(limit)
    return [_shown(_alarm(row)) for row in reversed(reader.execute(query).all())]


def write(transaction: Transaction, changes: Changes, now: datetime) -> None:
    """What a look made of the alarms, in the commit of the transaction."""
    connection = transaction.connection
    for condition in changes.opened:
        connection.execute(
            _OPENED, {"key": condition.key, **_words(condition), "opened_at": now, "seen_at": now}
        )
    for alarm, condition in changes.seen:
        # One that has become less grave keeps its gravity until it clears: it is told once.
        words = {"zh": condition.zh, "en": condition.en}
        connection.execute(_CHANGED, {"wanted": alarm.id, **words, "seen_at": now})
    for alarm, condition in changes.worse:
        connection.execute(_CHANGED, {"wanted": alarm.id, **_words(condition), "seen_at": now})
    for alarm in changes.cleared:
        connection.execute(_CHANGED, {"wanted": alarm.id, "cleared_at": now})


def told(transaction: Transaction, telling: Telling, now: datetime) -> None:
    """It was told. What has grown worse since is still to be told."""
    for alarm in telling.alarms:
        over = telling.news is News.CLEAR or (telling.news is News.MORE and alarm.cleared_at is not None)
        done = {"clear_told_at": now} if over else {"told_at": now, "told_severity": alarm.severity}
        transaction.connection.execute(_CHANGED, {"wanted": alarm.id, **done})


def _words(condition: Condition) -> dict[str, str]:
    return {"severity": condition.severity, "zh": condition.zh, "en": condition.en}


def _alarm(row: Row[*tuple[Any, ...]]) -> Alarm:
    return Alarm(
        id=row.id,
        key=row.key,
        severity=Severity(row.severity),
        zh=row.zh,
        en=row.en,
        opened_at=row.opened_at,
        seen_at=row.seen_at,
        cleared_at=row.cleared_at,
        told_at=row.told_at,
        told_severity=None if row.told_severity is None else Severity(row.told_severity),
        clear_told_at=row.clear_told_at,
    )


def _shown(alarm: Alarm) -> dict[str, Any]:
    times: Sequence[str] = ("opened_at", "seen_at", "cleared_at", "told_at", "clear_told_at")
    shown: dict[str, Any] = {
        "id": alarm.id,
        "key": alarm.key,
        "severity": alarm.severity.value,
        "zh": alarm.zh,
        "en": alarm.en,
    }
    for name in times:
        at: datetime | None = getattr(alarm, name)
        shown[name] = None if at is None else at.isoformat()
    return shown

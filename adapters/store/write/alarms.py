"""Alarms in the store: one row from the opening of each to its clearing; rows are kept."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, bindparam, case, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or

from adapters.store.database import Transaction
from adapters.store.tables.messages import Instant
from adapters.store.tables.operations import NOT_CLEAR, OPEN_ALARM, alarm_tellings, alarms
from gateway.monitor.alarms import Alarm, AlarmNotice, AlarmSeverity, Changes, Condition, NoticeKind

_OPEN: Final = select(alarms).where(OPEN_ALARM).order_by(alarms.c.id)
_NOTIFIED: Final = (alarm_tellings.c.told_at, alarm_tellings.c.told_severity, alarm_tellings.c.clear_told_at)
_BY_NOTIFIER: Final = alarm_tellings.c.way == bindparam("notifier")
_OPEN_TO_NOTIFY: Final = (
    select(alarms, *_NOTIFIED)
    .outerjoin(alarm_tellings, and_(alarm_tellings.c.alarm == alarms.c.id, _BY_NOTIFIER))
    .where(OPEN_ALARM)
    .order_by(alarms.c.id)
)
_CLEARED_TO_NOTIFY: Final = (
    select(alarms, *_NOTIFIED)
    .select_from(alarm_tellings)
    .join(alarms, alarms.c.id == alarm_tellings.c.alarm)
    .where(_BY_NOTIFIER, NOT_CLEAR, alarms.c.cleared_at.is_not(None))
    .order_by(alarms.c.id)
)
_OF_ID: Final = alarms.c.id == bindparam("alarm_id")
_OPENED: Final = insert(alarms)
_CHANGED: Final = update(alarms).where(_OF_ID)
_NEW_NOTIFICATION: Final = insert_or(alarm_tellings)
_NOTIFICATION: Final = _NEW_NOTIFICATION.on_conflict_do_update(
    index_elements=["alarm", "way"],
    set_={
        "told_at": _NEW_NOTIFICATION.excluded.told_at,
        "told_severity": _NEW_NOTIFICATION.excluded.told_severity,
    },
)
_CLEARING_NOTIFIED: Final = update(alarm_tellings).where(
    alarm_tellings.c.alarm == bindparam("alarm_id"), _BY_NOTIFIER
)


def open_alarms(reader: Connection) -> list[Alarm]:
    """The open alarms, without the notifications already sent."""
    return [_alarm(row) for row in reader.execute(_OPEN)]


def to_tell(reader: Connection, notifier: str) -> list[Alarm]:
    """The open alarms, and those whose opening was notified through this notifier but not yet their
    clearing."""
    rows = [
        *reader.execute(_OPEN_TO_NOTIFY, {"notifier": notifier}),
        *reader.execute(_CLEARED_TO_NOTIFY, {"notifier": notifier}),
    ]
    return [
        replace(
            _alarm(row),
            told_at=row.told_at,
            told_severity=None if row.told_severity is None else AlarmSeverity(row.told_severity),
            clear_told_at=row.clear_told_at,
        )
        for row in rows
    ]


def list_alarms(
    reader: Connection, *, all_: bool, since: datetime | None = None, limit: int
) -> list[dict[str, Any]]:
    """The newest `limit` (0: all), oldest first; cleared ones too if `all_`, and none that opened before
    `since`. `told_by` are the notifiers that have reported it; `told_at` is when the first of mail and
    webhook did, since a line in the log reaches nobody by itself."""
    told_by_others = case((alarm_tellings.c.way != "log", alarm_tellings.c.told_at))
    clear_told_by_others = case((alarm_tellings.c.way != "log", alarm_tellings.c.clear_told_at))
    notifications = select(
        alarm_tellings.c.alarm,
        func.group_concat(alarm_tellings.c.way, " ").label("told_by"),
        func.min(told_by_others, type_=Instant).label("told_at"),
        func.min(clear_told_by_others, type_=Instant).label("clear_told_at"),
    )
    notified = notifications.group_by(alarm_tellings.c.alarm).subquery()
    query = (
        select(alarms, notified.c.told_by, notified.c.told_at, notified.c.clear_told_at)
        .outerjoin(notified, notified.c.alarm == alarms.c.id)
        .order_by(alarms.c.id.desc())
    )
    if not all_:
        query = query.where(OPEN_ALARM)
    if since is not None:
        query = query.where(alarms.c.opened_at >= since)
    if limit:
        query = query.limit(limit)
    return [_shown(row) for row in reversed(reader.execute(query).all())]


def write(transaction: Transaction, changes: Changes, now: datetime) -> None:
    """Writes the changes of the alarms after a check, in the commit of the transaction."""
    connection = transaction.connection
    for condition in changes.opened:
        connection.execute(
            _OPENED, {"key": condition.key, **_words(condition), "opened_at": now, "seen_at": now}
        )
    for alarm, condition in changes.seen:
        # An alarm that has become less severe keeps its severity until it clears: it is notified once.
        words = {"zh": condition.zh, "en": condition.en}
        connection.execute(_CHANGED, {"alarm_id": alarm.id, **words, "seen_at": now})
    for alarm, condition in changes.worse:
        connection.execute(_CHANGED, {"alarm_id": alarm.id, **_words(condition), "seen_at": now})
    for alarm in changes.cleared:
        connection.execute(_CHANGED, {"alarm_id": alarm.id, "cleared_at": now})


def record_notified(transaction: Transaction, notice: AlarmNotice, notifier: str, now: datetime) -> None:
    """Records a notification through this notifier. If the alarm has become worse since, that is still to be
    notified."""
    for alarm in notice.alarms:
        over = notice.news is NoticeKind.CLEAR or (
            notice.news is NoticeKind.MORE and alarm.cleared_at is not None
        )
        if over:
            done = {"clear_told_at": now}
            transaction.connection.execute(
                _CLEARING_NOTIFIED, {"alarm_id": alarm.id, "notifier": notifier, **done}
            )
        else:
            row = {"alarm": alarm.id, "way": notifier, "told_at": now, "told_severity": alarm.severity}
            transaction.connection.execute(_NOTIFICATION, row)


def _words(condition: Condition) -> dict[str, str]:
    return {"severity": condition.severity, "zh": condition.zh, "en": condition.en}


def _alarm(row: Row[*tuple[Any, ...]]) -> Alarm:
    return Alarm(
        id=row.id,
        key=row.key,
        severity=AlarmSeverity(row.severity),
        zh=row.zh,
        en=row.en,
        opened_at=row.opened_at,
        seen_at=row.seen_at,
        cleared_at=row.cleared_at,
    )


def _shown(row: Row[*tuple[Any, ...]]) -> dict[str, Any]:
    times: Sequence[str] = ("opened_at", "seen_at", "cleared_at", "told_at", "clear_told_at")
    shown: dict[str, Any] = {name: row._mapping[name] for name in ("id", "key", "severity", "zh", "en")}
    for name in times:
        at: datetime | None = row._mapping[name]
        shown[name] = None if at is None else at.isoformat()
    shown["told_by"] = sorted((row._mapping["told_by"] or "").split())
    return shown

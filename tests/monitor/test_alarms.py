"""Alarms: their life as values, what is wrong enough for one, and that they are kept."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from adapters.store.database import Database, sqlite_engine
from adapters.store.migrate import migrate
from adapters.store.write.alarms import list_alarms, open_alarms, record_notified, to_tell, write
from gateway.config.monitoring import AlarmSettings
from gateway.monitor.alarm_conditions import conditions
from gateway.monitor.alarms import (
    Alarm,
    AlarmNotice,
    AlarmSeverity,
    Changes,
    Condition,
    NoticeKind,
    changes,
    notices_due,
)
from gateway.monitor.snapshot import (
    AmqpLinkStatus,
    BackendStatus,
    Expiry,
    PartnerHostStatus,
    QueueLength,
    SystemSnapshot,
)

NOW: Final = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
QUIET: Final = timedelta(minutes=5)
DAY: Final = timedelta(days=1)
WELL: Final = SystemSnapshot(
    unfit="",
    overdue_answers=0,
    overdue_documents=0,
    at=NOW,
    queues=(),
    backends=(),
    expiries=(),
    deaf={},
    held_answers=0,
    nearly_used={},
    free=0.5,
    free_bytes=1 << 40,
    link=None,
    hosts=(),
    unfinished={},
    open_alarms=(),
)


def condition(key: str = "disk", severity: AlarmSeverity = AlarmSeverity.WARNING) -> Condition:
    return Condition(key=key, severity=severity, zh="磁盘", en="disk")


def alarm(number: int = 1, severity: AlarmSeverity = AlarmSeverity.WARNING, **fields: datetime) -> Alarm:
    times = {"opened_at": NOW, "seen_at": NOW, **fields}
    told_severity = severity if "told_at" in fields else None
    return Alarm(
        id=number,
        key=f"key:{number}",
        severity=severity,
        zh="z",
        en="e",
        told_severity=told_severity,
        **times,
    )


def due_now(
    alarms: list[Alarm], notified_at: list[datetime], hourly: int = 3
) -> list[tuple[NoticeKind, int]]:
    return [
        (notice.news, len(notice.alarms)) for notice in notices_due(alarms, notified_at, NOW, hourly, DAY)
    ]


def test_a_lasting_condition_opens_one_alarm() -> None:
    assert changes([], [condition(), condition()], NOW, QUIET).opened == (condition(),)
    present = replace(alarm(), key="disk")
    changed = changes([present], [condition()], NOW + timedelta(hours=1), QUIET)
    assert changed == Changes(seen=((present, condition()),))


def test_of_two_conditions_with_one_key_the_graver_counts() -> None:
    grave = condition(severity=AlarmSeverity.CRITICAL)
    assert changes([], [grave, condition()], NOW, QUIET).opened == (grave,)


def test_an_alarm_that_comes_and_goes_stays_open_until_it_was_clear_for_a_while() -> None:
    present = alarm()
    assert changes([present], [], NOW + timedelta(minutes=4), QUIET) == Changes()
    assert changes([present], [], NOW + QUIET, QUIET) == Changes(cleared=(present,))


def test_an_alarm_that_grows_worse_is_notified_again_and_one_that_gets_better_is_not() -> None:
    present = replace(alarm(severity=AlarmSeverity.SERIOUS), key="disk")
    worse, better = condition(severity=AlarmSeverity.CRITICAL), condition(severity=AlarmSeverity.NOTICE)
    assert changes([present], [worse], NOW, QUIET).worse == ((present, worse),)
    assert changes([present], [better], NOW, QUIET).seen == ((present, better),)


def test_an_alarm_is_notified_when_it_opens_once_a_day_and_when_it_clears() -> None:
    assert due_now([alarm()], []) == [(NoticeKind.OPEN, 1)]
    assert due_now([alarm(told_at=NOW - timedelta(hours=23))], []) == []
    assert due_now([alarm(told_at=NOW - DAY)], []) == [(NoticeKind.STILL_OPEN, 1)]
    cleared = alarm(told_at=NOW - timedelta(hours=2), cleared_at=NOW)
    assert due_now([cleared], []) == [(NoticeKind.CLEAR, 1)]
    assert due_now([replace(cleared, clear_told_at=NOW)], []) == []


def test_the_end_of_an_alarm_that_grew_worse_is_notified_even_if_that_was_not() -> None:
    worse = replace(alarm(told_at=NOW), severity=AlarmSeverity.CRITICAL)
    assert due_now([worse], []) == [(NoticeKind.OPEN, 1)]
    assert due_now([replace(worse, cleared_at=NOW)], []) == [(NoticeKind.CLEAR, 1)]


def test_an_alarm_that_cleared_before_its_notification_is_not_notified() -> None:
    assert due_now([alarm(cleared_at=NOW)], []) == []


def test_alarms_over_the_hourly_limit_are_notified_as_a_number() -> None:
    many = [alarm(number) for number in range(10)]
    assert due_now(many, []) == [(NoticeKind.OPEN, 1)] * 3 + [(NoticeKind.MORE, 7)]
    assert due_now(many, [NOW] * 2) == [(NoticeKind.OPEN, 1), (NoticeKind.MORE, 9)]
    assert due_now(many, [NOW] * 3) == [(NoticeKind.MORE, 10)]
    assert due_now(many, [NOW] * 4) == []
    assert due_now(many[:2], [NOW - timedelta(hours=1)] * 4) == [(NoticeKind.OPEN, 1)] * 2


def test_the_limit_holds_back_what_is_light_and_nothing_that_is_critical() -> None:
    light = [alarm(number) for number in range(5)]
    grave = [alarm(number, AlarmSeverity.CRITICAL) for number in range(10, 15)]
    for recent, lighter in (
        ([], [(NoticeKind.OPEN, 1)] * 3 + [(NoticeKind.MORE, 2)]),
        ([NOW] * 3, [(NoticeKind.MORE, 5)]),
    ):
        assert due_now([*light, *grave], recent) == [(NoticeKind.OPEN, 1)] * 5 + lighter
    assert due_now([*light, *grave], [NOW] * 4) == [(NoticeKind.OPEN, 1)] * 5


def test_the_gravest_alarm_is_notified_first() -> None:
    (first, *_rest) = notices_due([alarm(1), alarm(2, AlarmSeverity.CRITICAL)], [], NOW, 1, DAY)
    assert [alarm.id for alarm in first.alarms] == [2]


@pytest.mark.parametrize(
    ("snapshot", "key", "severity"),
    [
        (
            replace(WELL, queues=[QueueLength(stage="held", owner="", count=1, age=1)]),
            "held",
            AlarmSeverity.WARNING,
        ),
        (
            replace(WELL, queues=[QueueLength(stage="to_judge", owner="", count=1, age=301)]),
            "to_judge",
            AlarmSeverity.SERIOUS,
        ),
        (
            replace(WELL, queues=[QueueLength(stage="to_send", owner="customs", count=1, age=901)]),
            "to_send:customs",
            AlarmSeverity.SERIOUS,
        ),
        (
            replace(WELL, queues=[QueueLength(stage="unknown", owner="customs", count=1, age=601)]),
            "unknown:customs",
            AlarmSeverity.SERIOUS,
        ),
        (
            replace(WELL, queues=[QueueLength(stage="to_post", owner="broker-aa", count=1, age=901)]),
            "to_post:broker-aa",
            AlarmSeverity.SERIOUS,
        ),
        (
            replace(
                WELL,
                backends=[
                    BackendStatus(name="a", breaker="open", since=NOW - timedelta(seconds=61), paused_at=None)
                ],
            ),
            "breaker:a",
            AlarmSeverity.SERIOUS,
        ),
        (
            replace(
                WELL,
                backends=[
                    BackendStatus(
                        name="a", breaker="closed", since=NOW, paused_at=NOW - timedelta(minutes=61)
                    ),
                ],
            ),
            "paused:a",
            AlarmSeverity.WARNING,
        ),
        (replace(WELL, unfit="the certificate ended"), "unfit", AlarmSeverity.CRITICAL),
        (replace(WELL, overdue_answers=2), "answers-overdue", AlarmSeverity.WARNING),
        (replace(WELL, overdue_documents=1), "documents-overdue", AlarmSeverity.WARNING),
        (
            replace(WELL, hosts=[PartnerHostStatus(name="a", failing_since=None, trouble="OutBox: x")]),
            "partner-folder:a",
            AlarmSeverity.WARNING,
        ),
        (replace(WELL, free=0.09), "disk", AlarmSeverity.WARNING),
        (replace(WELL, free=0.04), "disk", AlarmSeverity.CRITICAL),
        (
            replace(
                WELL, link=AmqpLinkStatus(connected=False, blocked=False, since=NOW - timedelta(seconds=61))
            ),
            "amqp",
            AlarmSeverity.SERIOUS,
        ),
        (
            replace(
                WELL, link=AmqpLinkStatus(connected=True, blocked=True, since=NOW - timedelta(seconds=61))
            ),
            "amqp",
            AlarmSeverity.SERIOUS,
        ),
        (
            replace(WELL, link=AmqpLinkStatus(connected=True, blocked=False, since=NOW, put_aside=3)),
            "amqp-dead",
            AlarmSeverity.WARNING,
        ),
        (
            replace(
                WELL, hosts=[PartnerHostStatus(name="hosted", failing_since=NOW - timedelta(minutes=16))]
            ),
            "partner:hosted",
            AlarmSeverity.SERIOUS,
        ),
        (
            replace(WELL, deaf={"customs": NOW - timedelta(minutes=6)}),
            "answers:customs",
            AlarmSeverity.SERIOUS,
        ),
        (replace(WELL, held_answers=1), "answers-held", AlarmSeverity.WARNING),
    ],
)
def test_conditions_name_what_is_wrong(snapshot: SystemSnapshot, key: str, severity: AlarmSeverity) -> None:
    (alarm_condition,) = conditions(snapshot, AlarmSettings())
    assert (alarm_condition.key, alarm_condition.severity) == (key, severity)
    assert alarm_condition.zh
    assert alarm_condition.en


@pytest.mark.parametrize(
    ("days", "severity"),
    [
        (91, None),
        (89, AlarmSeverity.NOTICE),
        (29, AlarmSeverity.WARNING),
        (6, AlarmSeverity.SERIOUS),
        (0.5, AlarmSeverity.CRITICAL),
        (-3, AlarmSeverity.CRITICAL),
    ],
)
def test_a_certificate_that_will_end_raises_alarms_in_steps(
    days: float, severity: AlarmSeverity | None
) -> None:
    ending = Expiry(kind="party", owner="1207980011", ends=NOW + days * DAY)
    alarm_conditions = conditions(replace(WELL, expiries=[ending]), AlarmSettings())
    assert [condition.severity for condition in alarm_conditions] == ([] if severity is None else [severity])


def test_values_in_bounds_are_no_alarm() -> None:
    snapshot = replace(
        WELL,
        queues=[
            QueueLength(stage="held", owner="", count=0, age=0),
            QueueLength(stage="to_judge", owner="", count=9, age=299),
            QueueLength(stage="waiting", owner="", count=9, age=10**6),
        ],
        backends=[BackendStatus(name="a", breaker="open", since=NOW - timedelta(seconds=30), paused_at=NOW)],
        deaf={"a": NOW - DAY, "b": NOW - timedelta(minutes=4)},
        link=AmqpLinkStatus(connected=False, blocked=False, since=NOW),
        hosts=[
            PartnerHostStatus(name="a", failing_since=NOW - timedelta(minutes=14)),
            PartnerHostStatus(name="b", failing_since=None),
        ],
    )
    assert conditions(snapshot, AlarmSettings()) == []


def test_the_history_of_an_alarm_is_stored(tmp_path: Path) -> None:
    asyncio.run(_life(tmp_path / "store.db"))


async def _life(path: Path) -> None:
    migrate(path)
    database = Database(sqlite_engine(path))
    try:
        await database.write(lambda to: write(to, Changes(opened=(condition(),)), NOW))
        (open_alarm,) = await database.read(open_alarms)
        await database.write(
            lambda to: record_notified(
                to, AlarmNotice(news=NoticeKind.OPEN, alarms=(open_alarm,)), "mail", NOW
            )
        )
        (open_alarm,) = await database.read(lambda reader: to_tell(reader, "mail"))
        assert open_alarm.told_at == NOW
        (pending,) = await database.read(lambda reader: to_tell(reader, "webhook"))
        assert pending.told_at is None
        grave = condition(severity=AlarmSeverity.CRITICAL)
        await database.write(lambda to: write(to, Changes(worse=((open_alarm, grave),)), NOW))
        # A telling of what it was before does not count for what it has become.
        await database.write(
            lambda to: record_notified(
                to, AlarmNotice(news=NoticeKind.OPEN, alarms=(open_alarm,)), "mail", NOW
            )
        )
        (open_alarm,) = await database.read(lambda reader: to_tell(reader, "mail"))
        assert (open_alarm.severity, open_alarm.told_severity) == (
            AlarmSeverity.CRITICAL,
            AlarmSeverity.WARNING,
        )
        await database.write(
            lambda to: record_notified(
                to, AlarmNotice(news=NoticeKind.OPEN, alarms=(open_alarm,)), "mail", NOW
            )
        )
        await database.write(lambda to: write(to, Changes(cleared=(open_alarm,)), NOW + QUIET))
        assert await database.read(open_alarms) == []
        (over,) = await database.read(lambda reader: to_tell(reader, "mail"))
        await database.write(
            lambda to: record_notified(
                to, AlarmNotice(news=NoticeKind.CLEAR, alarms=(over,)), "mail", NOW + QUIET
            )
        )
        assert await database.read(lambda reader: to_tell(reader, "mail")) == []
        assert await database.read(lambda reader: list_alarms(reader, all_=False, limit=0)) == []
        (row,) = await database.read(lambda reader: list_alarms(reader, all_=True, limit=0))
        assert (row["key"], row["cleared_at"]) == ("disk", (NOW + QUIET).isoformat())
        # The same thing again is another alarm.
        await database.write(lambda to: write(to, Changes(opened=(condition(),)), NOW + DAY))
        assert len(await database.read(lambda reader: list_alarms(reader, all_=True, limit=0))) == 2
        (late,) = await database.read(lambda reader: list_alarms(reader, all_=True, since=NOW + DAY, limit=0))
        assert late["opened_at"] == (NOW + DAY).isoformat()
    finally:
        database.close()

"""The life of an alarm: it opens, may grow worse, and clears; and what is told of it, and how often.

One fault is one alarm however often it is seen, and one that comes and goes stays open until it was well for
a while. However many open at once, a bounded number is told in an hour.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

_HOUR: Final = timedelta(hours=1)


class Severity(StrEnum):
    NOTICE = "notice"
    WARNING = "warning"
    SERIOUS = "serious"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Something that is wrong now. `key` tells it from others and stays the same while it lasts."""

    key: str
    severity: Severity
    zh: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """`seen_at` is when its condition was last met; `told_at` when it was last told the way that is asked
    about, and `told_severity` how grave it was then."""

    id: int
    key: str
    severity: Severity
    zh: str
    en: str
    opened_at: datetime
    seen_at: datetime
    cleared_at: datetime | None = None
    told_at: datetime | None = None
    told_severity: Severity | None = None
    clear_told_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a look makes of the open alarms. `seen` are met as before or in other words, `worse` more gravely,
    and `cleared` were well for long enough."""

    opened: tuple[Condition, ...] = ()
    seen: tuple[tuple[Alarm, Condition], ...] = ()
    worse: tuple[tuple[Alarm, Condition], ...] = ()
    cleared: tuple[Alarm, ...] = ()


def changes(open_: Sequence[Alarm], met: Sequence[Condition], now: datetime, quiet: timedelta) -> Changes:
    """Of several conditions with one key the gravest counts. An alarm clears when its condition was not met
    for `quiet`, so that one that flaps is one alarm."""
    gravest: dict[str, Condition] = {}
    for condition in sorted(met, key=lambda each: each.severity.rank):
        gravest[condition.key] = condition
    seen, worse, cleared = [], [], []
    for alarm in open_:
        condition_now = gravest.pop(alarm.key, None)
        if condition_now is None:
            if now - alarm.seen_at >= quiet:
                cleared.append(alarm)
        elif condition_now.severity.rank > alarm.severity.rank:
            worse.append((alarm, condition_now))
        else:
            seen.append((alarm, condition_now))
    return Changes(
        opened=tuple(gravest.values()), seen=tuple(seen), worse=tuple(worse), cleared=tuple(cleared)
    )


class NoticeKind(StrEnum):
    """What is told of an alarm, or of several."""

    OPEN = "open"
    STILL_OPEN = "still-open"
    CLEAR = "clear"
    MORE = "more"  # there are more than may be told one by one


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmNotice:
    """One mail or call. It is about one alarm, and `MORE` about all that it stands for."""

    news: NoticeKind
    alarms: tuple[Alarm, ...]

    @property
    def critical(self) -> bool:
        """Nothing holds it back. `MORE` never is."""
        return self.news is not NoticeKind.MORE and self.alarms[0].severity is Severity.CRITICAL


def notice_kind(alarm: Alarm, now: datetime, remind: timedelta) -> NoticeKind | None:
    """What is to be told of an alarm now. One that cleared before anybody was told of it is not told."""
    if alarm.cleared_at is not None:
        told = alarm.told_at is None or alarm.clear_told_at is not None
        return None if told else NoticeKind.CLEAR
    if alarm.told_at is None or alarm.told_severity is None or alarm.severity.rank > alarm.told_severity.rank:
        return NoticeKind.OPEN
    return NoticeKind.STILL_OPEN if now - alarm.told_at >= remind else None


def notices_due(
    alarms: Sequence[Alarm], told: Sequence[datetime], now: datetime, hourly: int, remind: timedelta
) -> list[AlarmNotice]:
    """What is to be told one way now, the gravest first. `told` are the times of its earlier tellings that
    were not critical: of these there are in any hour at most `hourly`, and then one that says how many more
    there are; what comes after that waits. What is critical never waits."""
    due = [
        AlarmNotice(news=news, alarms=(alarm,))
        for alarm in sorted(alarms, key=lambda each: (-each.severity.rank, each.opened_at, each.id))
        if (news := notice_kind(alarm, now, remind)) is not None
    ]
    critical = [each for each in due if each.critical]
    lighter = due[len(critical) :]
    room = hourly - sum(now - at < _HOUR for at in told)
    if len(lighter) <= room:
        return due
    if room < 0:
        return critical
    rest = tuple(alarm for notice in lighter[room:] for alarm in notice.alarms)
    return [*critical, *lighter[:room], AlarmNotice(news=NoticeKind.MORE, alarms=rest)]

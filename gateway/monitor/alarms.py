"""The life of an alarm: it opens, may become more severe, and clears; and when notices of it are sent.

A fault opens one alarm however often it is seen, and an alarm that flaps stays open until its condition was
absent for a while. However many alarms open at once, the number of notices in an hour is bounded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

_HOUR: Final = timedelta(hours=1)


class AlarmSeverity(StrEnum):
    NOTICE = "notice"
    WARNING = "warning"
    SERIOUS = "serious"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(AlarmSeverity).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Something that is wrong now. `key` identifies it and stays the same while it lasts."""

    key: str
    severity: AlarmSeverity
    zh: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """`seen_at` is when its condition was last met. `told_at` and `clear_told_at` are the times of the last
    notice through the notifier in question and of the notice that it cleared; `told_severity` is the severity
    in the last notice."""

    id: int
    key: str
    severity: AlarmSeverity
    zh: str
    en: str
    opened_at: datetime
    seen_at: datetime
    cleared_at: datetime | None = None
    told_at: datetime | None = None
    told_severity: AlarmSeverity | None = None
    clear_told_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a snapshot changes in the open alarms. `seen` are alarms whose condition is still met, at most as
    severely as before; `worse` are those that became more severe; `cleared` had no condition for long
    enough."""

    opened: tuple[Condition, ...] = ()
    seen: tuple[tuple[Alarm, Condition], ...] = ()
    worse: tuple[tuple[Alarm, Condition], ...] = ()
    cleared: tuple[Alarm, ...] = ()


def changes(open_: Sequence[Alarm], met: Sequence[Condition], now: datetime, quiet: timedelta) -> Changes:
    """Of several conditions with one key the most severe counts. An alarm clears when its condition was not
    met for `quiet`, so that a flapping condition is one alarm."""
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
    """What a notice says about an alarm, or about several."""

    OPEN = "open"
    STILL_OPEN = "still-open"
    CLEAR = "clear"
    MORE = "more"  # there are more alarms than notices allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmNotice:
    """One mail or HTTP call. It is about one alarm; `MORE` is about all alarms that it summarises."""

    news: NoticeKind
    alarms: tuple[Alarm, ...]

    @property
    def critical(self) -> bool:
        """Whether the notice is sent whatever the hourly limit; never for `MORE`."""
        return self.news is not NoticeKind.MORE and self.alarms[0].severity is AlarmSeverity.CRITICAL


def notice_kind(alarm: Alarm, now: datetime, remind: timedelta) -> NoticeKind | None:
    """The notice that is due for an alarm, None if there is none. An alarm that cleared before any notice of
    it was sent is never reported."""
    if alarm.cleared_at is not None:
        notified = alarm.told_at is None or alarm.clear_told_at is not None
        return None if notified else NoticeKind.CLEAR
    if alarm.told_at is None or alarm.told_severity is None or alarm.severity.rank > alarm.told_severity.rank:
        return NoticeKind.OPEN
    return NoticeKind.STILL_OPEN if now - alarm.told_at >= remind else None


def notices_due(
    alarms: Sequence[Alarm], sent_at: Sequence[datetime], now: datetime, hourly: int, remind: timedelta
) -> list[AlarmNotice]:
    """The notices that one notifier is to send now, the most severe first.

    `sent_at` are the times of its earlier notices that were not critical. At most `hourly` such notices are
    sent in any hour, then one `MORE` with the remaining alarms; later ones wait. Critical notices never wait.
    """
    due = [
        AlarmNotice(news=news, alarms=(alarm,))
        for alarm in sorted(alarms, key=lambda each: (-each.severity.rank, each.opened_at, each.id))
        if (news := notice_kind(alarm, now, remind)) is not None
    ]
    critical = [each for each in due if each.critical]
    lighter = due[len(critical) :]
    room = hourly - sum(now - at < _HOUR for at in sent_at)
    if len(lighter) <= room:
        return due
    if room < 0:
        return critical
    rest = tuple(alarm for notice in lighter[room:] for alarm in notice.alarms)
    return [*critical, *lighter[:room], AlarmNotice(news=NoticeKind.MORE, alarms=rest)]

"""Days in China time: policy, classes and contracts use these dates; stored times are UTC."""

from datetime import date, datetime, timedelta, timezone
from typing import Final

# Asia/Shanghai without summer time, which ended in 1991: a bare machine need not have the zone's data.
CHINA: Final = timezone(timedelta(hours=8))


def china_date(at: datetime) -> date:
    """The date in China at an aware time."""
    return at.astimezone(CHINA).date()


def day_zh(day: date) -> str:
    return f"{day.year}年{day.month}月{day.day}日"


def moment_zh(at: datetime) -> str:
    """An aware time in China time, as a declarant reads it: UTC would be read as eight hours early."""
    there = at.astimezone(CHINA)
    return f"北京时间{day_zh(there.date())}{there:%H:%M}"

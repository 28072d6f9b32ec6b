"""Days as China counts them: policy, classes and contracts are dated so (CONTRACT.md, "Formats")."""

from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

CHINA: Final = ZoneInfo("Asia/Shanghai")


def china_date(at: datetime) -> date:
    """The day in China at an aware time."""
    return at.astimezone(CHINA).date()

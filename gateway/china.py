"""Days as China counts them: policy, classes and contracts are dated so (CONTRACT.md, "Formats")."""

from datetime import date, datetime, timedelta, timezone
from typing import Final

# Asia/Shanghai without summer time, which ended in 1991: a bare machine need not have the zone's data.
CHINA: Final = timezone(timedelta(hours=8))


def china_date(at: datetime) -> date:
    """The day in China at an aware time."""
    return at.astimezone(CHINA).date()

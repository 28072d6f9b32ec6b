"""Ends waits whose time was written by a clock that has been set back since.

No wait of the node's own is longer than a lease: a later time was written by a fast clock, and would block
the work for as long as that clock was ahead. Times that parties wait for (`until`, deadlines, reminders) are
calendar dates and stay.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, update

from adapters.store.database import Transaction
from adapters.store.tables.messages import receipts
from adapters.store.tables.queues import to_judge, to_send

_WAITS: Final = (
    *(to_judge.c.due_at, to_judge.c.lease_until, to_send.c.due_at, to_send.c.lease_until),
    receipts.c.post_at,
)
_SET: Final = tuple(
    update(column.table).where(column > bindparam("latest")).values({column.name: bindparam("now")})
    for column in _WAITS
)


def end_waits(transaction: Transaction, now: datetime, longest: timedelta) -> int:
    """Ends every wait and lease that lasts longer than `longest` from `now`, and returns their number."""
    bounds = {"latest": now + longest, "now": now}
    return sum(transaction.connection.execute(each, bounds).rowcount for each in _SET)

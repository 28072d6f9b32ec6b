"""Ends waits whose time was written by a clock that has been set back since.

No wait of the node's own is longer than a lease: a later time was written by a fast clock, and would block
the work for as long as that clock was ahead. Times that parties wait for (`until`, deadlines, reminders) are
calendar dates and stay.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, update

from adapters.store.database import Transaction
from adapters.store.tables.queues import to_judge, to_notify, to_post, to_request, to_send

_WAITS: Final = [
    column
    for queue in (to_judge, to_send, to_post, to_request, to_notify)
    for column in (queue.c.due_at, queue.c.lease_until)
]
_END_WAITS: Final = tuple(
    update(column.table).where(column > bindparam("latest")).values({column.name: bindparam("now")})
    for column in _WAITS
)


def end_waits(transaction: Transaction, now: datetime, longest: timedelta) -> int:
    """Ends every wait and lease that lasts longer than `longest` from `now`, and returns their number."""
    bounds = {"latest": now + longest, "now": now}
    return sum(transaction.connection.execute(statement, bounds).rowcount for statement in _END_WAITS)

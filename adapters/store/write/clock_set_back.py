"""Ends waits whose time was written by a clock that has been set back since.

No wait of the node's own is longer than a lease: a later time was written by a fast clock, and would block
the work for as long as that clock was ahead. Times that parties wait for (`until`, deadlines, reminders) are
calendar dates and stay.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Column, Table, bindparam, text, update

from adapters.store.database import Transaction
from adapters.store.tables.messages import AT_WORK, TO_JUDGE, TO_POST, TO_SEND, deliveries, messages, receipts

_WAITS: Final[tuple[tuple[Table, "Column[datetime]", object], ...]] = (
    (messages, messages.c.not_before, TO_JUDGE),
    (messages, messages.c.lease_until, AT_WORK),
    (deliveries, deliveries.c.next_at, TO_SEND),
    (receipts, receipts.c.post_at, TO_POST),
)
_SET: Final = tuple(
    update(table).where(text(str(of)), column > bindparam("latest")).values({column.name: bindparam("now")})
    for table, column, of in _WAITS
)


def end_waits(transaction: Transaction, now: datetime, longest: timedelta) -> int:
    """Ends every wait and lease that lasts longer than `longest` from `now`, and returns their number."""
    given = {"latest": now + longest, "now": now}
    return sum(transaction.connection.execute(each, given).rowcount for each in _SET)

"""What was to wait until a time that a clock wrote which has been set back since.

No wait of the node's own is longer than a lease: what is to go on later than that was written by another
clock, and would stand still for as long as that was ahead. What parties wait for (`until`, deadlines,
reminders) is a matter of dates, and stays.
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
    """Lets go on at once what is to wait for longer than anything may, and returns how many that are."""
    given = {"latest": now + longest, "now": now}
    return sum(transaction.connection.execute(each, given).rowcount for each in _SET)

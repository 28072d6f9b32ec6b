"""What is still to be done, in narrow tables of its own: a row for each piece of work, until it is done.

A row that is claimed has an `owner` (the opening of the store that works on it), and is that owner's until
`lease_until`; `fence` counts its claims. Whoever writes an outcome states owner and fence, or only the fence
where that never goes back, also when the work comes again: for judging and sending it is kept in the row that
the work is about.
"""

from typing import Any, Final

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, text

from adapters.store.tables.messages import Instant, metadata
from gateway.model.states import DeliveryState

CLAIMED: Final = text("lease_until IS NOT NULL")  # for the partial indexes of what is in progress
QUEUED: Final = (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.UNKNOWN)
IN_LINE: Final = text("turn IS NOT NULL")


def _claims() -> tuple[Column[Any], ...]:
    return (
        Column("due_at", Instant, nullable=False),
        Column("fence", Integer, nullable=False),
        Column("owner", String(32)),
        Column("lease_until", Instant),
    )


def _claimed(name: str, *columns: str) -> Index:
    return Index(name, *columns, sqlite_where=CLAIMED, postgresql_where=CLAIMED)


# One row for each message in the state `received`; `item` is its `seq`.
to_judge: Final = Table(
    "to_judge",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("item", BigInteger, primary_key=True, autoincrement=False),
    *_claims(),
    Column("attempts", Integer, nullable=False, default=0),  # judgements that were begun and did not end
    # What it was woken by, if only one message can have that: those with the same are judged one after the
    # other, in the order of receipt.
    Column("turn", Text),
    Index("to_judge_item", "item", unique=True),
    _claimed("to_judge_claimed", "lease_until", "account", "owner"),
    Index("to_judge_in_line", "turn", "item", sqlite_where=IN_LINE, postgresql_where=IN_LINE),
    sqlite_with_rowid=False,
)

# One row for each delivery that is pending, being sent, or of unknown outcome; `item` is its `id`.
to_send: Final = Table(
    "to_send",
    metadata,
    Column("destination", String(64), primary_key=True),
    Column("account", String(64), primary_key=True),
    Column("item", BigInteger, primary_key=True, autoincrement=False),
    *_claims(),
    Column("about", String(26), nullable=False),  # the declaration that it is about; empty: none
    Index("to_send_item", "item", unique=True),
    Index("to_send_due", "destination", "account", "due_at", "item"),
    _claimed("to_send_claimed", "destination", "lease_until", "account", "owner"),
    sqlite_with_rowid=False,
)


def _by_account(name: str) -> Table:
    """A queue without parts, whose items have the order of their numbers."""
    return Table(
        name,
        metadata,
        Column("account", String(64), primary_key=True),
        Column("item", BigInteger, primary_key=True, autoincrement=False),
        *_claims(),
        Index(f"{name}_item", "item", unique=True),
        _claimed(f"{name}_claimed", "lease_until", "account", "owner"),
        sqlite_with_rowid=False,
    )


# One row for each receipt that is to be delivered to an account that does not fetch it; `item` is its `id`.
to_post: Final = _by_account("to_post")
# One row for each request for documents that is to be signed and sent; `item` is its `id`.
to_request: Final = _by_account("to_request")
# One row for each message whose sender is to be notified that it waits; `item` is its `seq`. Filled when it
# has waited long enough, since only some do.
to_notify: Final = _by_account("to_notify")

"""What is to be done, in narrow tables of its own with claims; filled from what the tables before said."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

_CLAIMED = sa.text("lease_until IS NOT NULL")
_IN_LINE = sa.text("turn IS NOT NULL")


def _claims() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(32)),
        sa.Column("lease_until", sa.BigInteger()),
    )


def upgrade() -> None:
    op.create_table(
        "to_judge",
        sa.Column("account", sa.String(64), primary_key=True),
        sa.Column("item", sa.BigInteger(), primary_key=True, autoincrement=False),
        *_claims(),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("turn", sa.Text()),
        sqlite_with_rowid=False,
    )
    op.create_index("to_judge_item", "to_judge", ["item"], unique=True)
    op.create_index(
        "to_judge_claimed",
        "to_judge",
        ["lease_until", "account", "owner"],
        sqlite_where=_CLAIMED,
        postgresql_where=_CLAIMED,
    )
    op.create_index(
        "to_judge_in_line", "to_judge", ["turn", "item"], sqlite_where=_IN_LINE, postgresql_where=_IN_LINE
    )
    op.create_table(
        "to_send",
        sa.Column("destination", sa.String(64), primary_key=True),
        sa.Column("account", sa.String(64), primary_key=True),
        sa.Column("item", sa.BigInteger(), primary_key=True, autoincrement=False),
        *_claims(),
        sa.Column("about", sa.String(26), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("to_send_item", "to_send", ["item"], unique=True)
    op.create_index("to_send_due", "to_send", ["destination", "account", "due_at", "item"])
    op.create_index(
        "to_send_claimed",
        "to_send",
        ["destination", "lease_until", "account", "owner"],
        sqlite_where=_CLAIMED,
        postgresql_where=_CLAIMED,
    )
    # The claims of the node before have no owner by today's names: any node takes them over.
    op.execute(
        "INSERT INTO to_judge (account, item, due_at, fence, owner, lease_until, attempts, turn)"
        " SELECT account, seq, coalesce(not_before, 0), attempts,"
        " CASE WHEN lease_until IS NOT NULL THEN 'before' END,"
        " CASE WHEN lease_until IS NOT NULL THEN 0 END, attempts,"
        " CASE WHEN waiting_for NOT LIKE 'mandate %' THEN waiting_for END"
        " FROM messages WHERE state = 'received' AND kind = 'inbound'"
    )
    op.add_column("messages", sa.Column("fence", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("deliveries", sa.Column("fence", sa.Integer(), nullable=False, server_default="0"))
    op.execute("UPDATE deliveries SET fence = 1 WHERE state = 'sending'")
    op.execute(
        "INSERT INTO to_send (destination, account, item, due_at, fence, owner, lease_until, about)"
        " SELECT destination, account, id, next_at, fence,"
        " CASE WHEN state = 'sending' THEN 'before' END, CASE WHEN state = 'sending' THEN 0 END, about"
        " FROM deliveries WHERE state IN ('pending', 'sending', 'unknown')"
    )
    for table, index in (
        *(("messages", name) for name in ("messages_to_judge", "messages_at_work")),
        *(("deliveries", name) for name in ("deliveries_to_send", "deliveries_at_work")),
    ):
        op.drop_index(index, table)
    op.drop_column("messages", "lease_until")
    op.drop_column("messages", "not_before")
    op.drop_column("deliveries", "next_at")

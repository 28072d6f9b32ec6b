"""What each account has sent on a day, and an index of the receipts that are still to be brought."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "sent_days",
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "account"),
    )
    with op.batch_alter_table("receipts", schema=None) as batch_op:
        waiting = sa.text("post_at IS NOT NULL")
        batch_op.create_index(
            "receipts_in_hand", ["id"], unique=False, sqlite_where=waiting, postgresql_where=waiting
        )

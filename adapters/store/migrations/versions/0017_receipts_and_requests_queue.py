"""Receipts to deliver and requests to send get queues with claims, like messages and deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

_CLAIMED = sa.text("lease_until IS NOT NULL")


def _queue(name: str) -> None:
    op.create_table(
        name,
        sa.Column("account", sa.String(64), primary_key=True),
        sa.Column("item", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(32)),
        sa.Column("lease_until", sa.BigInteger()),
        sqlite_with_rowid=False,
    )
    op.create_index(f"{name}_item", name, ["item"], unique=True)
    op.create_index(
        f"{name}_claimed",
        name,
        ["lease_until", "account", "owner"],
        sqlite_where=_CLAIMED,
        postgresql_where=_CLAIMED,
    )


def upgrade() -> None:
    for name in ("to_post", "to_request", "to_notify"):
        _queue(name)
    op.execute(
        "INSERT INTO to_post (account, item, due_at, fence)"
        " SELECT account, id, post_at, 0 FROM receipts WHERE post_at IS NOT NULL AND removed_at IS NULL"
    )
    op.execute(
        "INSERT INTO to_request (account, item, due_at, fence)"
        " SELECT messages.account, requests.id, requests.at, 0"
        " FROM requests JOIN messages ON messages.id = requests.message WHERE requests.told_at IS NULL"
    )
    op.drop_index("receipts_to_post", "receipts")
    op.drop_index("receipts_in_hand", "receipts")
    op.drop_column("receipts", "post_at")
    op.drop_index("requests_untold", "requests")

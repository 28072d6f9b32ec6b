"""An index of the receipts that are still to be brought, in their order."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    with op.batch_alter_table("receipts", schema=None) as batch_op:
        waiting = sa.text("post_at IS NOT NULL")
        batch_op.create_index(
            "receipts_in_hand", ["id"], unique=False, sqlite_where=waiting, postgresql_where=waiting
        )

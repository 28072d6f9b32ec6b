"""Messages that were woken keep what they waited for until they are judged: they are looked for by it."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    woken = sa.text("state = 'received' AND waiting_for IS NOT NULL")
    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.create_index(
            "messages_woken",
            ["state", "waiting_for", "seq"],
            unique=False,
            sqlite_where=woken,
            postgresql_where=woken,
        )

"""When customs' final answers are due, for the list and the alarm of those that are overdue."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.create_index(
            "messages_to_answer",
            ["answer_due"],
            sqlite_where=sa.text("answer_due IS NOT NULL"),
            postgresql_where=sa.text("answer_due IS NOT NULL"),
        )

"""What each way has told of an alarm, in place of what all of them had."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "alarm_tellings",
        sa.Column("alarm", sa.BigInteger(), nullable=False),
        sa.Column("way", sa.String(length=16), nullable=False),
        sa.Column("told_at", sa.BigInteger(), nullable=False),
        sa.Column("told_severity", sa.String(length=8), nullable=False),
        sa.Column("clear_told_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["alarm"], ["alarms.id"]),
        sa.PrimaryKeyConstraint("alarm", "way"),
    )
    with op.batch_alter_table("alarm_tellings", schema=None) as batch_op:
        batch_op.create_index(
            "alarms_to_clear",
            ["way", "alarm"],
            sqlite_where=sa.text("clear_told_at IS NULL"),
            postgresql_where=sa.text("clear_told_at IS NULL"),
        )
    op.execute(
        "INSERT INTO alarm_tellings (alarm, way, told_at, told_severity, clear_told_at)"
        " SELECT id, way, told_at, told_severity, clear_told_at FROM alarms,"
        " (SELECT 'log' AS way UNION SELECT 'mail' UNION SELECT 'webhook') AS ways"
        " WHERE told_at IS NOT NULL AND told_severity IS NOT NULL"
    )
    with op.batch_alter_table("alarms", schema=None) as batch_op:
        batch_op.drop_column("told_at")
        batch_op.drop_column("told_severity")
        batch_op.drop_column("clear_told_at")

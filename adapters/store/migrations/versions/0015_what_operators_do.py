"""The acts of operators among all events, so that those of a day are counted without reading the day."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_ACTS = "event IN ('dismissed', 'replayed', 'resumed', 'stopped')"


def upgrade() -> None:
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index(
            "events_of_operators",
            ["sequence"],
            sqlite_where=sa.text(_ACTS),
            postgresql_where=sa.text(_ACTS),
        )

"""The latest time of the log, carried along with each event."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("events", sa.Column("latest", sa.BigInteger(), nullable=True))
    # The next event goes on from the last one; earlier ones are never asked.
    op.execute(
        "UPDATE events SET latest = (SELECT max(at) FROM events)"
        " WHERE sequence = (SELECT max(sequence) FROM events)"
    )

"""What customs may have is marked on each delivery, no longer read off its last attempt."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    # What became of earlier attempts was not written down: what was tried may be there.
    op.execute(
        "UPDATE deliveries SET unsure = true, alternatives = '[]' WHERE NOT unsure"
        " AND (state IN ('sending', 'unknown') OR (state IN ('pending', 'held') AND attempts > 0))"
    )

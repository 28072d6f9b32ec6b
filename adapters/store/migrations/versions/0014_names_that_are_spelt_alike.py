"""What waits for a file is found by its name however that is spelt: case and normal form do not count."""

import sqlalchemy as sa
from alembic import op

from gateway.model.waits import Awaited

revision = "0014"
down_revision = "0013"

_WAITING = sa.text("state = 'waiting'")
_WOKEN = sa.text("state = 'received' AND waiting_for IS NOT NULL")
_FILES = sa.text(
    "SELECT seq, waiting_for FROM messages WHERE state IN ('waiting', 'received')"
    " AND (waiting_for LIKE 'document %' OR waiting_for LIKE 'declaration %')"
)
_SPELT = sa.text("UPDATE messages SET spelt = :spelt WHERE seq = :seq")


def upgrade() -> None:
    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.add_column(sa.Column("spelt", sa.Text(), nullable=True))
        for name, columns, where in (
            ("messages_in_wait_spelt", ["state", "spelt"], _WAITING),
            ("messages_woken_spelt", ["state", "spelt", "seq"], _WOKEN),
        ):
            batch_op.create_index(name, columns, sqlite_where=where, postgresql_where=where)
    connection = op.get_bind()
    for seq, thing in connection.execute(_FILES).all():
        awaited = Awaited.read(thing)
        connection.execute(_SPELT, {"seq": seq, "spelt": None if awaited is None else awaited.spelling})

"""A party may have several roles: an enterprise may be broker and trader."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_PARTIES = sa.table("parties", sa.column("code", sa.String), sa.column("record", sa.JSON))
_CHANGES = sa.table(
    "party_changes",
    *(sa.column("id", sa.BigInteger), sa.column("before", sa.JSON(none_as_null=True))),
    sa.column("after", sa.JSON),
)


def upgrade() -> None:
    connection = op.get_bind()
    for code, record in connection.execute(sa.select(_PARTIES.c.code, _PARTIES.c.record)).all():
        connection.execute(sa.update(_PARTIES).where(_PARTIES.c.code == code).values(record=_roles(record)))
    for number, before, after in connection.execute(sa.select(_CHANGES)).all():
        connection.execute(
            sa.update(_CHANGES)
            .where(_CHANGES.c.id == number)
            .values(before=None if before is None else _roles(before), after=_roles(after))
        )


def _roles(record: dict[str, Any]) -> dict[str, Any]:
    """The record with a list of roles in the place of its one role."""
    return {key: said for key, said in record.items() if key != "role"} | {"roles": [record["role"]]}

"""The current register of parties, for operators' commands."""

from typing import Final

from pydantic import TypeAdapter
from sqlalchemy import Connection, func, select

from adapters.store.tables.messages import parties, party_changes
from gateway.model.parties import Party

PARTY: Final = TypeAdapter(Party)


def registered(connection: Connection) -> dict[str, Party]:
    """All parties by customs code, in the order in which they were first registered."""
    first = select(func.min(party_changes.c.id)).where(party_changes.c.party == parties.c.code)
    rows = connection.execute(select(parties.c.code, parties.c.record).order_by(first.scalar_subquery()))
    return {row.code: PARTY.validate_python(row.record) for row in rows}

"""The current register of parties, for operators' commands."""

from collections.abc import Mapping
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


def named(register: Mapping[str, Party], wanted: str) -> Party | None:
    """The party with this account, or of this name (`Party.is_called`)."""
    return next(
        (
            party
            for party in register.values()
            if party.is_called(wanted) or (party.account is not None and party.account.name == wanted)
        ),
        None,
    )

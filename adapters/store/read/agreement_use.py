"""Messages that were accepted under an agreement."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, or_, select, text

from adapters.store.tables.messages import agreements, messages

# Under the agreement itself, or under one that depends on it.
_ACCEPTED: Final = select(messages).where(
    or_(
        messages.c.agreement == bindparam("number"),
        messages.c.agreement.in_(
            select(agreements.c.number).where(
                agreements.c.record["mandate"].as_string() == bindparam("number")
            )
        ),
    ),
    text("state = 'accepted'"),
)


def accepted_under(reader: Connection, number: str) -> Sequence[Row[*tuple[Any, ...]]]:
    """Every message that was accepted under this agreement, or under one that depends on this mandate, and
    that customs has not taken yet."""
    return reader.execute(_ACCEPTED, {"number": number}).all()

"""How many messages each operator has acted on of late, one by one or by undertakings. Read-only."""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, select

from adapters.store.read.event_log import sequence_before
from adapters.store.tables.messages import OPERATED, events

_OURS: Final = "gateway"  # the node itself


def acts_since(reader: Connection, since: datetime) -> dict[str, int]:
    """Messages by actor, the busiest first. Reads the acts of that time, by an index of their own."""
    number = func.count(func.distinct(events.c.message))
    query = (
        select(events.c.actor, number)
        .where(
            events.c.sequence > sequence_before(reader, since),
            OPERATED,
            events.c.actor != _OURS,
        )
        .group_by(events.c.actor)
        .order_by(number.desc(), events.c.actor)
    )
    return {row[0]: row[1] for row in reader.execute(query)}

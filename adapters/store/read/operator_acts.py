"""How many messages each operator has recently acted on, singly or by requests. Read-only."""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, select

from adapters.store.read.event_log import sequence_before
from adapters.store.tables.messages import OPERATED, events

_OURS: Final = "gateway"  # the node itself


def acts_since(reader: Connection, since: datetime) -> dict[str, int]:
    """Number of messages by actor, highest first. Reads only the acts of that time, by their own index."""
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

"""Columns of messages that several queries select, and rows of messages as values."""

from typing import Any, Final

from sqlalchemy import Row, func, select

from adapters.store.tables.messages import deliveries, messages
from gateway.model.message import Arrival, ChainLink, Facts, Key, Operation, Received

# What `arrival_of` reads.
ARRIVAL: Final = (
    messages.c.id,
    messages.c.account,
    messages.c.channel,
    messages.c.name,
    messages.c.sha256,
    messages.c.size,
    messages.c.received_at,
)
# The message that began the declaration to which a message belongs.
DECLARATION_OF: Final = func.coalesce(
    select(deliveries.c.about)
    .where(deliveries.c.message == messages.c.id, deliveries.c.about != "")
    .limit(1)
    .correlate(messages)
    .scalar_subquery(),
    messages.c.id,
)


def received_of(row: Row[*tuple[Any, ...]], attempts: int = 0, fence: int = 0) -> Received:
    """`attempts` and `fence` are those of its claim, if it was claimed."""
    return Received(
        arrival=arrival_of(row),
        attempts=attempts,
        fence=fence,
        link=ChainLink(sequence=row.link_sequence, digest=row.link_digest),
        overdue="" if row.until is not None else row.waiting_for or "",
        again=row.revision > 0,
    )


def arrival_of(row: Row[*tuple[Any, ...]]) -> Arrival:
    return Arrival(
        id=row.id,
        account=row.account,
        channel=row.channel,
        name=row.name,
        sha256=row.sha256,
        size=row.size,
        received_at=row.received_at,
    )


def facts_of(row: Row[*tuple[Any, ...]]) -> Facts | None:
    """None if its judgement never got that far."""
    if row.reference is None:
        return None
    return Facts(
        key=Key(party=row.party, family=row.family, type=row.type, reference=row.reference),
        content=row.content,
        body=row.body_digest,
        operation=Operation(row.operation),
        values=row.facts,
    )

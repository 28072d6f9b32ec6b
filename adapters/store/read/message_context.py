"""The context of a message: linked messages, bulk requests that it is part of, status of its back-ends."""

from typing import Any, Final

from sqlalchemy import Connection, Row, select

from adapters.store.read.message_search import plain
from adapters.store.tables.messages import deliveries, messages
from adapters.store.tables.operations import destinations, replies, undertaking_items, undertakings

_LINKED: Final = ("id", "kind", "reference", "type", "state", "name", "received_at")
_REPLY: Final = ("message_id", "correlation", "reply_to")
_BACKEND: Final = ("breaker", "since", "probe_at", "note", "paused_by", "paused_at", "pause_reason")
_REQUEST: Final = ("id", "act", "stage", "state", "reason", "actor", "created_at", "decided_by")
_MOST_LINKED: Final = 100


def message_context(reader: Connection, row: Row[*tuple[Any, ...]]) -> dict[str, Any]:
    """`links`: the message that it is linked to, and the newest messages that are linked to it, including
    answers of customs. `reply`: the properties of an AMQP message, else None. `backends`: the last noted
    status of its back-ends. `undertakings`: bulk requests that include it."""
    return {
        "links": _links(reader, row),
        "reply": next((_shown(reply, _REPLY) for reply in _replies(reader, row.id)), None),
        "backends": [
            {"name": backend.name, **_shown(backend, _BACKEND)}
            for backend in reader.execute(
                select(destinations)
                .where(
                    destinations.c.name.in_(
                        select(deliveries.c.destination).where(deliveries.c.message == row.id)
                    )
                )
                .order_by(destinations.c.name)
            )
        ],
        "undertakings": [
            {**_shown(request, _REQUEST), "outcome": request.outcome, "note": request.note}
            for request in reader.execute(
                select(undertakings, undertaking_items.c.outcome, undertaking_items.c.note)
                .join(undertaking_items, undertaking_items.c.undertaking == undertakings.c.id)
                .where(undertaking_items.c.message == row.id)
                .order_by(undertakings.c.id)
            )
        ],
    }


def _replies(reader: Connection, message: str) -> Any:
    return reader.execute(select(replies).where(replies.c.message == message))


def _links(reader: Connection, row: Row[*tuple[Any, ...]]) -> list[dict[str, Any]]:
    columns = [messages.c[name] for name in _LINKED]
    to = reader.execute(select(*columns).where(messages.c.id == row.linked)).all() if row.linked else []
    from_ = reader.execute(
        select(*columns)
        .where(messages.c.linked == row.id)
        .order_by(messages.c.seq.desc())
        .limit(_MOST_LINKED)
    ).all()
    return [
        {"link": link, **_shown(message, _LINKED)}
        for link, linked in (("to", to), ("from", reversed(from_)))
        for message in linked
    ]


def _shown(row: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: plain(row._mapping[name]) for name in names}

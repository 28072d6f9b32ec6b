"""Deliveries as operators see them. Read-only, works beside a running node."""

import json
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, func, select

from adapters.store.read.message_search import plain
from adapters.store.tables.messages import NOT_DELIVERED, deliveries, events
from adapters.store.tables.queues import to_send
from gateway.model.states import DeliveryState

_LISTED = ("id", "message", "destination", "key", "state", "attempts", "note", "created_at", "changed_at")
_SHOWN = ("account", "about", "alternatives", "unsure", "since", "package_name", "package_sha256")
_QUERY: Final = select(deliveries, to_send.c.due_at).outerjoin(to_send, to_send.c.item == deliveries.c.id)


def list_deliveries(
    reader: Connection,
    *,
    message: str | None = None,
    state: str | None = None,
    destination: str | None = None,
    account: str | None = None,
    before: datetime | None = None,
    since: datetime | None = None,
    limit: int,
) -> list[dict[str, Any]]:
    """The newest `limit` deliveries (0: all) that match all filters, oldest first; `before` and `since` bound
    the time of their creation."""
    query = _QUERY.order_by(deliveries.c.id.desc())
    if message is not None:
        query = query.where(deliveries.c.message == message)
    elif state not in (None, DeliveryState.DELIVERED):
        query = query.where(NOT_DELIVERED, deliveries.c.state == state)
    for name, value in (("state", state), ("destination", destination), ("account", account)):
        if value is not None:
            # An expression has no index: otherwise SQLite would take the index of a destination's keys and
            # sort everything that ever went there.
            query = query.where(func.coalesce(deliveries.c[name], "") == value)
    if before is not None:
        query = query.where(deliveries.c.created_at < before)
    if since is not None:
        query = query.where(deliveries.c.created_at >= since)
    rows = reader.execute(query.limit(limit) if limit else query).all()
    return [_listed(row) for row in reversed(rows)]


def show_delivery(reader: Connection, id_: int) -> dict[str, Any] | None:
    """One delivery, with the events of its message that concern it; None if there is none."""
    row = reader.execute(_QUERY.where(deliveries.c.id == id_)).first()
    if row is None:
        return None
    own = select(events).where(events.c.message == row.message).order_by(events.c.sequence)
    logged = [(event, json.loads(event.detail)) for event in reader.execute(own)]
    return {
        **_listed(row),
        **{name: plain(row._mapping[name]) for name in _SHOWN},
        "enclosures": [enclosure["name"] for enclosure in row.enclosures],
        "events": [
            {
                "at": event.at.isoformat(),
                "event": event.event,
                "actor": event.actor,
                "state": event.state,
                "note": detail.get("reason") or detail.get("note"),
            }
            for event, detail in logged
            if detail.get("key") == row.key and detail.get("destination") == row.destination
        ],
    }


def _listed(row: Any) -> dict[str, Any]:
    return {
        **{name: plain(row._mapping[name]) for name in _LISTED},
        # Only a delivery in progress has a next attempt.
        "next_at": row.due_at.isoformat() if row.state in ("pending", "unknown") else None,
    }

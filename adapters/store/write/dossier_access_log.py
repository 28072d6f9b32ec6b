"""Who read what of a dossier, and the results of re-reviews: append-only, and also in the event log."""

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import Connection, insert, select

from adapters.store.database import Transaction
from adapters.store.tables.dossiers import readings, reviews
from adapters.store.tables.messages import messages
from gateway.model.dossier import DossierReading, Review
from gateway.model.states import State

_STATE: Final = select(messages.c.state)


def note_reading(transaction: Transaction, reading: DossierReading) -> None:
    """Records that somebody reads a part of a dossier."""
    transaction.connection.execute(
        insert(readings),
        {
            "at": reading.at,
            "actor": reading.actor,
            "entry_id": reading.entry,
            "part": reading.part,
            "purpose": reading.purpose,
        },
    )
    transaction.log(
        reading.message,
        reading.at,
        "read",
        reading.actor,
        _state(transaction, reading.message),
        entry=reading.entry,
        part=reading.part,
        purpose=reading.purpose,
    )


def put_review(transaction: Transaction, review: Review) -> None:
    """Records the result of a re-review."""
    transaction.connection.execute(
        insert(reviews),
        {
            "at": review.at,
            "actor": review.actor,
            "entry_id": review.entry,
            "message": review.message,
            "outcome": review.outcome,
            "note": review.note,
        },
    )
    transaction.log(
        review.message,
        review.at,
        "reviewed",
        review.actor,
        _state(transaction, review.message),
        entry=review.entry,
        outcome=review.outcome,
        note=review.note,
    )


def list_readings(reader: Connection, names: Collection[str] | None, limit: int) -> list[dict[str, Any]]:
    """The newest `limit` readings (0: all), oldest first: of the dossier with these names, or of all
    dossiers."""
    query = select(readings).order_by(readings.c.id.desc())
    if names is not None:
        query = query.where(readings.c.entry_id.in_(names))
    rows = reader.execute(query.limit(limit) if limit else query).all()
    return [
        {
            "at": row.at.isoformat(),
            "actor": row.actor,
            "entry": row.entry_id,
            "part": row.part or None,
            "purpose": row.purpose,
        }
        for row in reversed(rows)
    ]


def list_reviews(reader: Connection, names: Collection[str]) -> list[dict[str, Any]]:
    """The re-reviews of the dossier with these names, oldest first."""
    query = select(reviews).where(reviews.c.entry_id.in_(names)).order_by(reviews.c.id)
    return [
        {"at": row.at.isoformat(), "actor": row.actor, "outcome": row.outcome, "note": row.note}
        for row in reader.execute(query)
    ]


def _state(transaction: Transaction, message: str) -> State:
    return State(transaction.connection.execute(_STATE.where(messages.c.id == message)).scalar_one())

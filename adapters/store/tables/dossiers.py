"""The tables of electronic dossiers: who read them, and the results of re-reviews after release."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from adapters.store.tables.messages import Instant, metadata

# Append-only: who read what of a dossier, when and why (docs/reform.md, R12).
readings = Table(
    "readings",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("entry_id", String(32), nullable=False),
    Column("part", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Index("readings_of_entry", "entry_id", "id"),
)

# Append-only: the result of a dossier's re-review after release (R16).
reviews = Table(
    "reviews",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("entry_id", String(32), nullable=False),
    Column("message", String(26), nullable=False),
    Column("outcome", String(16), nullable=False),  # clear or found
    Column("note", Text, nullable=False),
    Index("reviews_of_entry", "entry_id", "id"),
)

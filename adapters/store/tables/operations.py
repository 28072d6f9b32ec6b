"""The tables beside the messages: status of back-ends, requests of operators, alarms."""

from typing import Final

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text, text

from adapters.store.tables.messages import Instant
from adapters.store.tables.messages import metadata as metadata

OPEN_ALARM: Final = text("cleared_at IS NULL")
NOT_CLEAR: Final = text("clear_told_at IS NULL")

# The properties of an AMQP message (`message.Reply`).
replies = Table(
    "replies",
    metadata,
    Column("message", String(26), primary_key=True),
    Column("account", String(64), nullable=False),
    Column("message_id", Text, nullable=False),
    Column("correlation", Text, nullable=False),
    Column("reply_to", Text, nullable=False),
    Index("replies_by_message_id", "message_id", "account"),
)

# The status of a back-end: its circuit breaker, and whether an operator paused it.
destinations = Table(
    "destinations",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("breaker", String(8), nullable=False),
    Column("failures", Integer, nullable=False),
    Column("since", Instant, nullable=False),
    Column("probe_at", Instant),
    Column("note", Text, nullable=False),
    Column("paused_by", String(64)),
    Column("paused_at", Instant),
    Column("pause_reason", Text),
)

# Acts of operators on many messages, or that need a second person's approval: requested, approved, done.
undertakings = Table(
    "undertakings",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("request_key", String(64), unique=True),
    Column("act", String(8), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("wanted", JSON, nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("actor", String(64), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("decided_by", String(64)),
    Column("decided_at", Instant),
    Column("decision", Text, nullable=False, server_default=""),  # the second person's reason for refusing
    Column("ended_at", Instant),
)

undertaking_items = Table(
    "undertaking_items",
    metadata,
    Column("undertaking", String(26), primary_key=True),
    Column("message", String(26), primary_key=True),
    Column("outcome", String(16), nullable=False),  # open, done, impossible
    Column("note", Text, nullable=False),
    Column("at", Instant),
    Index("undertaking_items_open", "undertaking", "outcome", "message"),
    Index("undertakings_of_message", "message"),
)

# Alarms: one row from the opening of each to its clearing.
alarms = Table(
    "alarms",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("key", String(128), nullable=False),
    Column("severity", String(8), nullable=False),
    Column("zh", Text, nullable=False),
    Column("en", Text, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("cleared_at", Instant),
    Index("one_open_alarm", "key", unique=True, sqlite_where=OPEN_ALARM, postgresql_where=OPEN_ALARM),
    sqlite_autoincrement=True,
)

# The notifications sent through each notifier (log, mail, webhook): one that fails does not stop the others.
alarm_tellings = Table(
    "alarm_tellings",
    metadata,
    Column("alarm", BigInteger, ForeignKey("alarms.id"), primary_key=True),
    Column("way", String(16), primary_key=True),
    Column("told_at", Instant, nullable=False),
    Column("told_severity", String(8), nullable=False),
    Column("clear_told_at", Instant),
    Index("alarms_to_clear", "way", "alarm", sqlite_where=NOT_CLEAR, postgresql_where=NOT_CLEAR),
)

# Earlier names of messages that their senders renamed.
former_names = Table(
    "former_names",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("seq", BigInteger, nullable=False),  # of the message
    Column("name", Text, nullable=False),
    Column("at", Instant, nullable=False),  # when the name was given up
    Index("former_names_of_message", "seq", "at"),
    Index("messages_by_former_name", "name", "seq"),
)

# The faults (codes and rules) of messages, with the other columns that lists filter by: an index of
# `findings`, written in the same commit. Errors only: accepted messages have none.
message_faults = Table(
    "message_faults",
    metadata,
    Column("fault", String(64), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("account", String(64), nullable=False),
    Column("party", String(18)),
    Column("office", String(4)),
    Column("family", String(32)),
    Column("type", String(64)),
    Index("faults_of_message", "seq"),
    sqlite_with_rowid=False,
)

# What each account has sent on each day, by China's calendar.
sent_days = Table(
    "sent_days",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("account", String(64), primary_key=True),
    Column("messages", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
)

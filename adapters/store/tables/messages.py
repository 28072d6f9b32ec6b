"""The tables of the store. One definition for SQLite and PostgreSQL; `migrations/` builds the same.

Times are integers, microseconds since 1970 UTC: they sort, they index, and both databases keep them exactly.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


# What the types of columns raise for a value that they never wrote: somebody has changed the database.
UNREADABLE: Final = (TypeError, ValueError, OverflowError)


class Instant(TypeDecorator[datetime]):
    """An aware time, stored as microseconds since 1970 UTC."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + value * _MICROSECOND


# SQLite makes a column the row id only if its type is exactly INTEGER.
_SEQUENCE: Final = BigInteger().with_variant(Integer, "sqlite")

# The conditions of partial indexes: SQLite uses such an index only if a query contains the same condition
# with literals, not parameters. They begin with the state nevertheless: otherwise SQLite may choose another
# index that does, and read everything in that state.
WAITS: Final = text("state IN ('pending', 'unknown')")
DIVERTIBLE: Final = text("state = 'pending' AND CAST(alternatives AS TEXT) <> '[]'")
NOT_TOLD: Final = text("state IN ('pending', 'unknown') AND told_at IS NULL")
ON_THE_WAY: Final = text("state IN ('pending', 'sending', 'unknown')")
NOT_DELIVERED: Final = text("state <> 'delivered'")
SHOWN: Final = text("removed_at IS NULL")  # there may be a hundred times as many removed ones
IN_WAIT: Final = text("state = 'waiting'")
# Judged again because what it waited for came or its time is over: it keeps its claim until it is decided.
WOKEN: Final = text("state = 'received' AND waiting_for IS NOT NULL")
OWED: Final = text("due_at IS NOT NULL AND fulfilled_at IS NULL")
TO_REMIND: Final = text("remind_at IS NOT NULL")
OPERATED: Final = text("event IN ('dismissed', 'replayed', 'resumed', 'stopped')")  # by operators
ANSWER_DUE: Final = text("answer_due IS NOT NULL")
ANSWERS: Final = text("kind = 'answer'")
LISTED: Final = text("kind = 'inbound'")
# Equivalent to LISTED, but not an equality: otherwise an index with `kind` in it would look as good as these.
SENT: Final = text("kind <> 'answer'")
OF_PARTY: Final = text("kind <> 'answer' AND party IS NOT NULL")
OF_OFFICE: Final = text("kind <> 'answer' AND office IS NOT NULL")
OF_FAMILY: Final = text("kind <> 'answer' AND family IS NOT NULL")

metadata = MetaData()

messages = Table(
    "messages",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("id", String(26), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),  # inbound: sent by a party; answer: sent by customs
    Column("account", String(64), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("name", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("body", LargeBinary),  # of an answer; packages are blobs
    Column("received_at", Instant, nullable=False),
    Column("folder", String(16)),
    Column("moved_at", Instant, nullable=False),
    Column("party", String(18)),
    Column("family", String(32)),
    Column("type", String(64)),
    Column("reference", Text),
    Column("content", String(64)),
    Column("body_digest", String(64)),
    Column("operation", String(8)),
    Column("office", String(4)),  # customs office of declaration, if it has one
    Column("facts", JSON, nullable=False, default=dict),
    Column("state", String(16), nullable=False),
    Column("customs_status", String(24), nullable=False, default="none"),
    Column("findings", JSON, nullable=False, default=list),
    Column("reason", Text, nullable=False, default=""),
    Column("revision", Integer, nullable=False, default=0),  # counts changes: shows if a reading is current
    # Of its last claims for judgement, as it left the queue (`queues`).
    Column("attempts", Integer, nullable=False, default=0),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("waiting_for", Text),
    Column("spelt", Text),  # `waiting_for` with the file's name normalised for search (gateway.model.waits)
    Column("until", Instant),
    Column("answer_due", Instant),
    Column("seq_no", String(32)),
    Column("entry_id", String(32)),
    Column("linked", String(26)),
    Column("agreement", String(64)),  # under which it was accepted: kept with the verdict
    Column("hint", JSON(none_as_null=True)),  # how a declaration was assessed
    Column("link_sequence", BigInteger, nullable=False),  # its first event, which receipts show
    Column("link_digest", String(64), nullable=False),
    Index("answers_by_content", "sha256", sqlite_where=ANSWERS, postgresql_where=ANSWERS),
    Index("messages_by_state", "state", "kind", "seq"),
    # One index for each filter of operators' lists: equal values and the state first, then the order of the
    # lists, then the other filters, so that no row is read which is not shown.
    Index(
        "listed_by_account",
        *("account", "state", "seq", "office", "family", "type", "kind"),
        sqlite_where=SENT,
        postgresql_where=SENT,
    ),
    Index(
        "listed_by_party",
        *("party", "state", "seq", "account", "office", "family", "type", "kind"),
        sqlite_where=OF_PARTY,
        postgresql_where=OF_PARTY,
    ),
    Index(
        "listed_by_office",
        *("office", "state", "seq", "family", "type", "kind"),
        sqlite_where=OF_OFFICE,
        postgresql_where=OF_OFFICE,
    ),
    Index(
        "listed_by_type",
        *("family", "type", "state", "seq", "kind"),
        sqlite_where=OF_FAMILY,
        postgresql_where=OF_FAMILY,
    ),
    Index("listed_by_name", "name", "kind", sqlite_where=LISTED, postgresql_where=LISTED),
    Index("messages_in_wait", "state", "waiting_for", sqlite_where=IN_WAIT, postgresql_where=IN_WAIT),
    Index("messages_in_wait_spelt", "state", "spelt", sqlite_where=IN_WAIT, postgresql_where=IN_WAIT),
    Index("messages_woken_spelt", "state", "spelt", "seq", sqlite_where=WOKEN, postgresql_where=WOKEN),
    Index("messages_overdue", "state", "until", sqlite_where=IN_WAIT, postgresql_where=IN_WAIT),
    Index("messages_woken", "state", "waiting_for", "seq", sqlite_where=WOKEN, postgresql_where=WOKEN),
    Index("messages_to_answer", "answer_due", sqlite_where=ANSWER_DUE, postgresql_where=ANSWER_DUE),
    Index("messages_by_agreement", "agreement"),
    Index("messages_in_folder", "account", "folder", "name"),
    Index("messages_by_key", "party", "family", "type", "reference"),
    Index("messages_by_body", "party", "body_digest"),
    Index("messages_by_reference", "reference", "kind"),
    Index("messages_by_seq_no", "seq_no", "kind"),
    Index("messages_by_entry", "entry_id", "kind"),
    Index("messages_by_link", "linked"),
    sqlite_autoincrement=True,
)

# Who holds a key: prevents a second legal effect (docs/for-brokers.md, "Sent twice").
holders = Table(
    "holders",
    metadata,
    Column("party", String(18), primary_key=True),
    Column("family", String(32), primary_key=True),
    Column("type", String(64), primary_key=True),
    Column("reference", Text, primary_key=True),
    Column("message", String(26), nullable=False),
)

# Append-only. `digest` is a chain: SHA-256 over the previous digest and the canonical bytes of the entry.
events = Table(
    "events",
    metadata,
    Column("sequence", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("message", String(26), nullable=False),
    Column("at", Instant, nullable=False),
    Column("event", String(16), nullable=False),
    Column("actor", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("detail", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    # The latest `at` of the log up to here, since an operator last accepted the clock.
    Column("latest", Instant),
    Index("events_of_message", "message", "sequence"),
    # For counting recent acts by operator without reading the whole log.
    Index("events_of_operators", "sequence", sqlite_where=OPERATED, postgresql_where=OPERATED),
    sqlite_autoincrement=True,
)

receipts = Table(
    "receipts",
    metadata,
    Column("id", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("message", String(26), nullable=False),
    Column("account", String(64), nullable=False),
    Column("folder", String(16), nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("final", Boolean, nullable=False),
    Column("superseded", Boolean, nullable=False, default=False),
    Column("body", LargeBinary, nullable=False),
    Column("size", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("collected_at", Instant),
    Column("removed_at", Instant),
    UniqueConstraint("account", "folder", "name"),
    Index("receipts_of_message", "message"),
    Index("receipts_shown", "account", "folder", "name", sqlite_where=SHOWN, postgresql_where=SHOWN),
    # Guarantees exactly one final receipt for each message.
    Index(
        "one_final_receipt",
        "message",
        unique=True,
        sqlite_where=text("final AND NOT superseded"),
        postgresql_where=text("final AND NOT superseded"),
    ),
    sqlite_autoincrement=True,
)

# The bytes of small packages (`gateway.model.blobs`); rows are added and never changed.
packages = Table(
    "packages",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("message", String(26), nullable=False),
    Column("destination", String(64), nullable=False),
    Column("alternatives", JSON, nullable=False, server_default="[]"),
    Column("account", String(64), nullable=False, server_default=""),
    Column("about", String(26), nullable=False, server_default=""),
    Column("key", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("package_sha256", String(64), nullable=False),
    Column("package_name", Text, nullable=False),
    Column("package_size", BigInteger, nullable=False),
    Column("enclosures", JSON, nullable=False, server_default="[]"),
    Column("attempts", Integer, nullable=False, default=0),
    Column("fence", Integer, nullable=False, server_default="0"),  # of its last claim (`queues`)
    Column("since", Instant),  # start of its waiting time
    Column("note", Text, nullable=False, default=""),
    # An attempt was made whose outcome is unknown: customs may have it until it says that it does not.
    Column("unsure", Boolean, nullable=False, server_default=false()),
    Column("told_at", Instant),  # when its sender was notified that it waits for a destination that is down
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    # Guarantees that the back-end never sees two submissions with one key.
    UniqueConstraint("destination", "key"),
    Index("deliveries_about", "about", "destination", "id"),
    Index("deliveries_divertible", "destination", "id", sqlite_where=DIVERTIBLE, postgresql_where=DIVERTIBLE),
    Index("deliveries_not_told", "destination", "id", sqlite_where=NOT_TOLD, postgresql_where=NOT_TOLD),
    # How much is queued or in progress for each destination, and since when.
    Index(
        "deliveries_on_the_way",
        *("destination", "state", "since"),
        sqlite_where=ON_THE_WAY,
        postgresql_where=ON_THE_WAY,
    ),
    # Operators' lists of what is not delivered; within a state the order is that of the table.
    Index("deliveries_by_state", "state", sqlite_where=NOT_DELIVERED, postgresql_where=NOT_DELIVERED),
    Index("deliveries_of_message", "message"),
    sqlite_autoincrement=True,
)

parties = Table(
    "parties",
    metadata,
    Column("code", String(10), primary_key=True),
    Column("scc", String(18), nullable=False, unique=True),
    Column("organisation", String(9), nullable=False, unique=True),
    Column("account", String(64), unique=True),
    Column("delivery", String(8), nullable=False, server_default="inbox"),
    Column("record", JSON, nullable=False),
    Column("changed_at", Instant, nullable=False),
)

# Append-only: every change of a party, with its record before (null: not registered) and after.
party_changes = Table(
    "party_changes",
    metadata,
    Column("id", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("party", String(10), nullable=False),
    Column("at", Instant, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("before", JSON(none_as_null=True)),
    Column("after", JSON, nullable=False),
    Index("changes_of_party", "party", "id"),
    sqlite_autoincrement=True,
)

# Agency mandates and agreements as of the association's last notice, and where that notice is kept.
agreements = Table(
    "agreements",
    metadata,
    Column("number", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("trader", String(18), nullable=False),
    Column("broker", String(18), nullable=False),
    Column("state", String(16), nullable=False),
    Column("used_by", String(26)),
    Column("record", JSON, nullable=False),  # the terms
    Column("revision", Integer, nullable=False),  # counts changes from 1
    Column("message", String(26), nullable=False),
    Column("name", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Index("agreements_of_parties", "trader", "broker", "number"),
)

# Append-only: every act on an agreement. `message` is the association's notice, or the declaration.
agreement_acts = Table(
    "agreement_acts",
    metadata,
    Column("id", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("number", String(64), nullable=False),
    Column("at", Instant, nullable=False),
    Column("act", String(16), nullable=False),
    Column("actor", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("message", String(26)),
    Column("reason", Text, nullable=False, default=""),
    Index("acts_of_agreement", "number", "id"),
)

# The documents that a declaration owes (docs/reform.md, R3, R4). `missing` shrinks as they arrive.
obligations = Table(
    "obligations",
    metadata,
    Column("message", String(26), primary_key=True),
    Column("due", String(16), nullable=False),
    Column("documents", JSON, nullable=False),
    Column("sources", JSON, nullable=False),
    Column("missing", JSON, nullable=False),
    Column("released_at", Instant),
    Column("due_at", Instant),  # set at the release
    Column("remind_at", Instant),  # when its parties are reminded next, if at all
    Column("reminded", Integer, nullable=False, default=0),  # how often
    Column("fulfilled_at", Instant),
    Index("obligations_owed", "due_at", sqlite_where=OWED, postgresql_where=OWED),
    Index("obligations_to_remind", "remind_at", sqlite_where=TO_REMIND, postgresql_where=TO_REMIND),
)

# Append-only except `told_at`: the documents that the parties of a declaration were asked for, and why.
requests = Table(
    "requests",
    metadata,
    Column("id", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("message", String(26), nullable=False),
    Column("at", Instant, nullable=False),
    Column("why", String(16), nullable=False),
    Column("documents", JSON, nullable=False),
    Column("due_at", Instant),
    Column("note", Text, nullable=False, default=""),  # customs' own words
    Column("told_at", Instant),  # when the signed request was in the InBox of every party
    Index("requests_of_message", "message", "id"),
)

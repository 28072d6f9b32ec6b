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


# What the types of columns raise for a value that they never wrote: somebody has changed it.
UNREADABLE: Final = (TypeError, ValueError, OverflowError)


class Instant(TypeDecorator[datetime]):
    """An aware time, kept as microseconds since 1970 UTC."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + value * _MICROSECOND


# SQLite makes a row id only of a column whose type is exactly INTEGER.
_SEQUENCE: Final = BigInteger().with_variant(Integer, "sqlite")

# What partial indexes hold: SQLite uses one only where a query says the same with literals, not parameters.
# They begin with the state all the same: else it may take another one that does, and read all in that state.
TO_JUDGE: Final = text("state = 'received'")
AT_WORK: Final = text("state = 'received' AND lease_until IS NOT NULL")
TO_SEND: Final = text("state IN ('pending', 'unknown')")
SENDING: Final = text("state = 'sending'")
DIVERTIBLE: Final = text("state = 'pending' AND CAST(alternatives AS TEXT) <> '[]'")
NOT_TOLD: Final = text("state IN ('pending', 'unknown') AND told_at IS NULL")
ON_THE_WAY: Final = text("state IN ('pending', 'sending', 'unknown')")
NOT_DELIVERED: Final = text("state <> 'delivered'")
TO_POST: Final = text("post_at IS NOT NULL")
SHOWN: Final = text("removed_at IS NULL")  # what was removed may be a hundred times as much
IN_WAIT: Final = text("state = 'waiting'")
# Judged again since what it waited for came, or its time is over: until then it keeps its claim on that.
WOKEN: Final = text("state = 'received' AND waiting_for IS NOT NULL")
OWED: Final = text("due_at IS NOT NULL AND fulfilled_at IS NULL")
TO_REMIND: Final = text("remind_at IS NOT NULL")
OPERATED: Final = text("event IN ('dismissed', 'replayed', 'resumed', 'stopped')")  # by operators
ANSWER_DUE: Final = text("answer_due IS NOT NULL")
UNTOLD: Final = text("told_at IS NULL")
ANSWERS: Final = text("kind = 'answer'")
LISTED: Final = text("kind = 'inbound'")
# The same as LISTED, in words that are no equality: else an index with `kind` in it looks as good as these.
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
    Column("kind", String(16), nullable=False),  # inbound: a party sent it; answer: customs did
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
    Column("office", String(4)),  # customs office of declaration, where it has one
    Column("facts", JSON, nullable=False, default=dict),
    Column("state", String(16), nullable=False),
    Column("customs_status", String(24), nullable=False, default="none"),
    Column("findings", JSON, nullable=False, default=list),
    Column("reason", Text, nullable=False, default=""),
    Column("revision", Integer, nullable=False, default=0),  # counts changes: what was read still holds
    Column("attempts", Integer, nullable=False, default=0),
    Column("lease_until", Instant),
    Column("not_before", Instant),
    Column("waiting_for", Text),
    Column("spelt", Text),  # the same with a file's name as it is looked for (gateway.model.waits)
    Column("until", Instant),
    Column("answer_due", Instant),
    Column("seq_no", String(32)),
    Column("entry_id", String(32)),
    Column("linked", String(26)),
    Column("agreement", String(64)),  # under which it was accepted: the verdict that is frozen with it
    Column("hint", JSON(none_as_null=True)),  # how a declaration was assessed
    Column("link_sequence", BigInteger, nullable=False),  # its first event, which receipts show
    Column("link_digest", String(64), nullable=False),
    Index("messages_to_judge", "state", "account", "seq", sqlite_where=TO_JUDGE, postgresql_where=TO_JUDGE),
    Index(
        "messages_at_work", "state", "lease_until", "account", sqlite_where=AT_WORK, postgresql_where=AT_WORK
    ),
    Index("answers_by_content", "sha256", sqlite_where=ANSWERS, postgresql_where=ANSWERS),
    Index("messages_by_state", "state", "kind", "seq"),
    # One for each filter of operators' lists: equal values and the state first, then the order of the lists,
    # then what else they filter by, so that no row is read which is not shown.
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

# Who holds a key: the guard against a second legal effect (CONTRACT.md, "Duplicates").
holders = Table(
    "holders",
    metadata,
    Column("party", String(18), primary_key=True),
    Column("family", String(32), primary_key=True),
    Column("type", String(64), primary_key=True),
    Column("reference", Text, primary_key=True),
    Column("message", String(26), nullable=False),
)

# Append-only. `digest` chains: SHA-256 over the digest before it and the canonical bytes of the entry.
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
    # The latest `at` of the log up to here, since an operator last took the clock as it was.
    Column("latest", Instant),
    Index("events_of_message", "message", "sequence"),
    # Whom operators' acts of late are counted by, among all that ever happened.
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
    Column("post_at", Instant),  # when it is brought to its account next, where it still is to be
    UniqueConstraint("account", "folder", "name"),
    Index("receipts_to_post", "account", "id", sqlite_where=TO_POST, postgresql_where=TO_POST),
    # Whosever they are, in their order: what still is to be brought, among all that ever was.
    Index("receipts_in_hand", "id", sqlite_where=TO_POST, postgresql_where=TO_POST),
    Index("receipts_of_message", "message"),
    Index("receipts_shown", "account", "folder", "name", sqlite_where=SHOWN, postgresql_where=SHOWN),
    # The guard of "exactly one final receipt for each message".
    Index(
        "one_final_receipt",
        "message",
        unique=True,
        sqlite_where=text("final AND NOT superseded"),
        postgresql_where=text("final AND NOT superseded"),
    ),
    sqlite_autoincrement=True,
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
    Column("next_at", Instant, nullable=False),
    Column("since", Instant),  # from when on its time is counted
    Column("note", Text, nullable=False, default=""),
    # An attempt was made of which the outcome is not known: customs may have it, until it says that not.
    Column("unsure", Boolean, nullable=False, server_default=false()),
    Column("told_at", Instant),  # when its sender was told that it waits for a destination that is down
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    # The guard of "the back-end sees one submission key".
    UniqueConstraint("destination", "key"),
    Index(
        "deliveries_to_send",
        *("destination", "account", "next_at"),
        sqlite_where=TO_SEND,
        postgresql_where=TO_SEND,
    ),
    Index("deliveries_at_work", "destination", "account", sqlite_where=SENDING, postgresql_where=SENDING),
    Index("deliveries_about", "about", "destination", "id"),
    Index("deliveries_divertible", "destination", "id", sqlite_where=DIVERTIBLE, postgresql_where=DIVERTIBLE),
    Index("deliveries_not_told", "destination", "id", sqlite_where=NOT_TOLD, postgresql_where=NOT_TOLD),
    # How much of each destination is on its way, and since when.
    Index(
        "deliveries_on_the_way",
        *("destination", "state", "since"),
        sqlite_where=ON_THE_WAY,
        postgresql_where=ON_THE_WAY,
    ),
    # Operators' lists of what is not delivered; in each state the order is that of the table.
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

# Append-only: every change of a party, with what it was before (null: not registered) and after.
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

# Agency mandates and agreements as the association's last notice tells them, and where that is kept.
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

# Append-only: every act on an agreement. `message` is the notice that told it, or the declaration.
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

# The documents that a declaration owes (REFORM R3, R4). `missing` shrinks as they come.
obligations = Table(
    "obligations",
    metadata,
    Column("message", String(26), primary_key=True),
    Column("due", String(16), nullable=False),
    Column("documents", JSON, nullable=False),
    Column("sources", JSON, nullable=False),
    Column("missing", JSON, nullable=False),
    Column("released_at", Instant),
    Column("due_at", Instant),  # known from the release on
    Column("remind_at", Instant),  # when its parties are told next, if they are
    Column("reminded", Integer, nullable=False, default=0),  # how often
    Column("fulfilled_at", Instant),
    Index("obligations_owed", "due_at", sqlite_where=OWED, postgresql_where=OWED),
    Index("obligations_to_remind", "remind_at", sqlite_where=TO_REMIND, postgresql_where=TO_REMIND),
)

# Append-only but for `told_at`: what documents the parties of a declaration were asked for, and why.
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
    Column("told_at", Instant),  # when the signed request was in the InBox of each of them
    Index("requests_of_message", "message", "id"),
    Index("requests_untold", "id", sqlite_where=UNTOLD, postgresql_where=UNTOLD),
)

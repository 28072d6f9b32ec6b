"""Replies and postings, destinations with breakers, undertakings of operators, alarms."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "alarms",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("severity", sa.String(length=8), nullable=False),
        sa.Column("zh", sa.Text(), nullable=False),
        sa.Column("en", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("cleared_at", sa.BigInteger(), nullable=True),
        sa.Column("told_at", sa.BigInteger(), nullable=True),
        sa.Column("told_severity", sa.String(length=8), nullable=True),
        sa.Column("clear_told_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("alarms", schema=None) as batch_op:
        batch_op.create_index(
            "one_open_alarm",
            ["key"],
            unique=True,
            sqlite_where=sa.text("cleared_at IS NULL"),
            postgresql_where=sa.text("cleared_at IS NULL"),
        )

    op.create_table(
        "destinations",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("breaker", sa.String(length=8), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("probe_at", sa.BigInteger(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("paused_by", sa.String(length=64), nullable=True),
        sa.Column("paused_at", sa.BigInteger(), nullable=True),
        sa.Column("pause_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "message_faults",
        sa.Column("fault", sa.String(length=64), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("party", sa.String(length=18), nullable=True),
        sa.Column("office", sa.String(length=4), nullable=True),
        sa.Column("family", sa.String(length=32), nullable=True),
        sa.Column("type", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("fault", "seq"),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("message_faults", schema=None) as batch_op:
        batch_op.create_index("faults_of_message", ["seq"], unique=False)

    op.create_table(
        "replies",
        sa.Column("message", sa.String(length=26), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("correlation", sa.Text(), nullable=False),
        sa.Column("reply_to", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("message"),
    )
    with op.batch_alter_table("replies", schema=None) as batch_op:
        batch_op.create_index("replies_by_message_id", ["message_id", "account"], unique=False)

    op.create_table(
        "undertaking_items",
        sa.Column("undertaking", sa.String(length=26), nullable=False),
        sa.Column("message", sa.String(length=26), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("undertaking", "message"),
    )
    with op.batch_alter_table("undertaking_items", schema=None) as batch_op:
        batch_op.create_index("undertaking_items_open", ["undertaking", "outcome", "message"], unique=False)
        batch_op.create_index("undertakings_of_message", ["message"], unique=False)

    op.create_table(
        "undertakings",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("request_key", sa.String(length=64), nullable=True),
        sa.Column("act", sa.String(length=8), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("wanted", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_by", sa.String(length=64), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decision", sa.Text(), server_default="", nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("request_key"),
    )
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.add_column(sa.Column("alternatives", sa.JSON(), server_default="[]", nullable=False))
        batch_op.add_column(sa.Column("account", sa.String(length=64), server_default="", nullable=False))
        batch_op.add_column(sa.Column("about", sa.String(length=26), server_default="", nullable=False))
        batch_op.add_column(sa.Column("since", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("told_at", sa.BigInteger(), nullable=True))
        batch_op.drop_index(
            batch_op.f("deliveries_due"), sqlite_where=sa.text("state IN ('pending', 'unknown')")
        )
        batch_op.create_index("deliveries_about", ["about", "destination", "id"], unique=False)
        batch_op.create_index(
            "deliveries_at_work",
            ["destination", "account"],
            unique=False,
            sqlite_where=sa.text("state = 'sending'"),
            postgresql_where=sa.text("state = 'sending'"),
        )
        batch_op.create_index(
            "deliveries_by_state",
            ["state"],
            unique=False,
            sqlite_where=sa.text("state <> 'delivered'"),
            postgresql_where=sa.text("state <> 'delivered'"),
        )
        batch_op.create_index(
            "deliveries_divertible",
            ["destination", "id"],
            unique=False,
            sqlite_where=sa.text("state = 'pending' AND CAST(alternatives AS TEXT) <> '[]'"),
            postgresql_where=sa.text("state = 'pending' AND CAST(alternatives AS TEXT) <> '[]'"),
        )
        batch_op.create_index(
            "deliveries_not_told",
            ["destination", "id"],
            unique=False,
            sqlite_where=sa.text("state IN ('pending', 'unknown') AND told_at IS NULL"),
            postgresql_where=sa.text("state IN ('pending', 'unknown') AND told_at IS NULL"),
        )
        batch_op.create_index(
            "deliveries_on_the_way",
            ["destination", "state", "since"],
            unique=False,
            sqlite_where=sa.text("state IN ('pending', 'sending', 'unknown')"),
            postgresql_where=sa.text("state IN ('pending', 'sending', 'unknown')"),
        )
        batch_op.create_index(
            "deliveries_to_send",
            ["destination", "account", "next_at"],
            unique=False,
            sqlite_where=sa.text("state IN ('pending', 'unknown')"),
            postgresql_where=sa.text("state IN ('pending', 'unknown')"),
        )

    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.add_column(sa.Column("office", sa.String(length=4), nullable=True))
        batch_op.drop_index(batch_op.f("messages_listed"), sqlite_where=sa.text("kind = 'inbound'"))
        batch_op.drop_index(batch_op.f("messages_by_entry"))
        batch_op.create_index("messages_by_entry", ["entry_id", "kind"], unique=False)
        batch_op.drop_index(batch_op.f("messages_by_reference"))
        batch_op.create_index("messages_by_reference", ["reference", "kind"], unique=False)
        batch_op.drop_index(batch_op.f("messages_by_seq_no"))
        batch_op.create_index("messages_by_seq_no", ["seq_no", "kind"], unique=False)
        batch_op.drop_index(batch_op.f("messages_by_state"))
        batch_op.create_index("messages_by_state", ["state", "kind", "seq"], unique=False)
        batch_op.create_index(
            "listed_by_account",
            ["account", "state", "seq", "office", "family", "type", "kind"],
            unique=False,
            sqlite_where=sa.text("kind <> 'answer'"),
            postgresql_where=sa.text("kind <> 'answer'"),
        )
        batch_op.create_index(
            "listed_by_name",
            ["name", "kind"],
            unique=False,
            sqlite_where=sa.text("kind = 'inbound'"),
            postgresql_where=sa.text("kind = 'inbound'"),
        )
        batch_op.create_index(
            "listed_by_office",
            ["office", "state", "seq", "family", "type", "kind"],
            unique=False,
            sqlite_where=sa.text("kind <> 'answer' AND office IS NOT NULL"),
            postgresql_where=sa.text("kind <> 'answer' AND office IS NOT NULL"),
        )
        batch_op.create_index(
            "listed_by_party",
            ["party", "state", "seq", "account", "office", "family", "type", "kind"],
            unique=False,
            sqlite_where=sa.text("kind <> 'answer' AND party IS NOT NULL"),
            postgresql_where=sa.text("kind <> 'answer' AND party IS NOT NULL"),
        )
        batch_op.create_index(
            "listed_by_type",
            ["family", "type", "state", "seq", "kind"],
            unique=False,
            sqlite_where=sa.text("kind <> 'answer' AND family IS NOT NULL"),
            postgresql_where=sa.text("kind <> 'answer' AND family IS NOT NULL"),
        )

    with op.batch_alter_table("parties", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("delivery", sa.String(length=8), server_default="inbox", nullable=False)
        )

    with op.batch_alter_table("receipts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("post_at", sa.BigInteger(), nullable=True))
        batch_op.create_index(
            "receipts_to_post",
            ["account", "id"],
            unique=False,
            sqlite_where=sa.text("post_at IS NOT NULL"),
            postgresql_where=sa.text("post_at IS NOT NULL"),
        )

    # What was there before is known by the new columns too.
    op.execute(
        "UPDATE messages SET office = nullif(substr(json_extract(facts, '$.office'), 1, 4), '') "
        "WHERE kind = 'inbound'"
    )
    op.execute(
        "UPDATE deliveries SET since = created_at, about = substr(key, 1, 26), "
        "account = (SELECT account FROM messages WHERE messages.id = deliveries.message)"
    )
    op.execute(
        "INSERT INTO message_faults (fault, seq, account, party, office, family, type) "
        "SELECT DISTINCT named.value, seq, account, party, office, family, messages.type FROM messages, "
        "json_each(messages.findings) AS found, "
        "json_each(json_array(found.value ->> '$.code', found.value ->> '$.rule')) AS named "
        "WHERE messages.kind = 'inbound' AND found.value ->> '$.severity' = 'error' "
        "AND named.value IS NOT NULL"
    )

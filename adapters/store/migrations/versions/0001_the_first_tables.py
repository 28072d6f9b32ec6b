"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "deliveries",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("message", sa.String(length=26), nullable=False),
        sa.Column("destination", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("package_sha256", sa.String(length=64), nullable=False),
        sa.Column("package_name", sa.Text(), nullable=False),
        sa.Column("package_size", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("destination", "key"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.create_index(
            "deliveries_due",
            ["next_at"],
            unique=False,
            sqlite_where=sa.text("state IN ('pending', 'unknown')"),
            postgresql_where=sa.text("state IN ('pending', 'unknown')"),
        )
        batch_op.create_index("deliveries_of_message", ["message"], unique=False)

    op.create_table(
        "events",
        sa.Column(
            "sequence",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("message", sa.String(length=26), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index("events_of_message", ["message", "sequence"], unique=False)

    op.create_table(
        "holders",
        sa.Column("party", sa.String(length=18), nullable=False),
        sa.Column("family", sa.String(length=32), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("message", sa.String(length=26), nullable=False),
        sa.PrimaryKeyConstraint("party", "family", "type", "reference"),
    )
    op.create_table(
        "messages",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("folder", sa.String(length=16), nullable=True),
        sa.Column("moved_at", sa.BigInteger(), nullable=False),
        sa.Column("party", sa.String(length=18), nullable=True),
        sa.Column("family", sa.String(length=32), nullable=True),
        sa.Column("type", sa.String(length=64), nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("content", sa.String(length=64), nullable=True),
        sa.Column("body_digest", sa.String(length=64), nullable=True),
        sa.Column("operation", sa.String(length=8), nullable=True),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("customs_status", sa.String(length=24), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("not_before", sa.BigInteger(), nullable=True),
        sa.Column("waiting_for", sa.Text(), nullable=True),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("answer_due", sa.BigInteger(), nullable=True),
        sa.Column("seq_no", sa.String(length=32), nullable=True),
        sa.Column("entry_id", sa.String(length=32), nullable=True),
        sa.Column("linked", sa.String(length=26), nullable=True),
        sa.Column("link_sequence", sa.BigInteger(), nullable=False),
        sa.Column("link_digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.create_index(
            "answers_by_content",
            ["sha256"],
            unique=False,
            sqlite_where=sa.text("kind = 'answer'"),
            postgresql_where=sa.text("kind = 'answer'"),
        )
        batch_op.create_index(
            "messages_at_work",
            ["account"],
            unique=False,
            sqlite_where=sa.text("state = 'received' AND lease_until IS NOT NULL"),
            postgresql_where=sa.text("state = 'received' AND lease_until IS NOT NULL"),
        )
        batch_op.create_index("messages_by_body", ["party", "body_digest"], unique=False)
        batch_op.create_index("messages_by_entry", ["entry_id"], unique=False)
        batch_op.create_index("messages_by_key", ["party", "family", "type", "reference"], unique=False)
        batch_op.create_index("messages_by_link", ["linked"], unique=False)
        batch_op.create_index("messages_by_reference", ["reference"], unique=False)
        batch_op.create_index("messages_by_seq_no", ["seq_no"], unique=False)
        batch_op.create_index("messages_by_state", ["state", "moved_at"], unique=False)
        batch_op.create_index("messages_in_folder", ["account", "folder", "name"], unique=False)
        batch_op.create_index(
            "messages_to_judge",
            ["state", "seq"],
            unique=False,
            sqlite_where=sa.text("state = 'received'"),
            postgresql_where=sa.text("state = 'received'"),
        )

    op.create_table(
        "parties",
        sa.Column("code", sa.String(length=10), nullable=False),
        sa.Column("scc", sa.String(length=18), nullable=False),
        sa.Column("organisation", sa.String(length=9), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=True),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("code"),
        sa.UniqueConstraint("account"),
        sa.UniqueConstraint("organisation"),
        sa.UniqueConstraint("scc"),
    )
    op.create_table(
        "party_changes",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("party", sa.String(length=10), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("before", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("party_changes", schema=None) as batch_op:
        batch_op.create_index("changes_of_party", ["party", "id"], unique=False)

    op.create_table(
        "receipts",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("message", sa.String(length=26), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("folder", sa.String(length=16), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.Column("superseded", sa.Boolean(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("collected_at", sa.BigInteger(), nullable=True),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", "folder", "name"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("receipts", schema=None) as batch_op:
        batch_op.create_index(
            "one_final_receipt",
            ["message"],
            unique=True,
            sqlite_where=sa.text("final AND NOT superseded"),
            postgresql_where=sa.text("final AND NOT superseded"),
        )
        batch_op.create_index("receipts_of_message", ["message"], unique=False)

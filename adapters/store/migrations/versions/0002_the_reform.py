"""Agreements, obligations, dossiers, and what waits."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "agreement_acts",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("number", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("act", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("message", sa.String(length=26), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("agreement_acts", schema=None) as batch_op:
        batch_op.create_index("acts_of_agreement", ["number", "id"], unique=False)

    op.create_table(
        "agreements",
        sa.Column("number", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("trader", sa.String(length=18), nullable=False),
        sa.Column("broker", sa.String(length=18), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("used_by", sa.String(length=26), nullable=True),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("message", sa.String(length=26), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    with op.batch_alter_table("agreements", schema=None) as batch_op:
        batch_op.create_index("agreements_of_parties", ["trader", "broker", "number"], unique=False)

    op.create_table(
        "obligations",
        sa.Column("message", sa.String(length=26), nullable=False),
        sa.Column("due", sa.String(length=16), nullable=False),
        sa.Column("documents", sa.JSON(), nullable=False),
        sa.Column("sources", sa.JSON(), nullable=False),
        sa.Column("missing", sa.JSON(), nullable=False),
        sa.Column("released_at", sa.BigInteger(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("remind_at", sa.BigInteger(), nullable=True),
        sa.Column("reminded", sa.Integer(), nullable=False),
        sa.Column("fulfilled_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("message"),
    )
    with op.batch_alter_table("obligations", schema=None) as batch_op:
        batch_op.create_index(
            "obligations_owed",
            ["due_at"],
            unique=False,
            sqlite_where=sa.text("due_at IS NOT NULL AND fulfilled_at IS NULL"),
            postgresql_where=sa.text("due_at IS NOT NULL AND fulfilled_at IS NULL"),
        )
        batch_op.create_index(
            "obligations_to_remind",
            ["remind_at"],
            unique=False,
            sqlite_where=sa.text("remind_at IS NOT NULL"),
            postgresql_where=sa.text("remind_at IS NOT NULL"),
        )

    op.create_table(
        "readings",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("entry_id", sa.String(length=32), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("readings", schema=None) as batch_op:
        batch_op.create_index("readings_of_entry", ["entry_id", "id"], unique=False)

    op.create_table(
        "requests",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("message", sa.String(length=26), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.String(length=16), nullable=False),
        sa.Column("documents", sa.JSON(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("told_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("requests", schema=None) as batch_op:
        batch_op.create_index("requests_of_message", ["message", "id"], unique=False)
        batch_op.create_index(
            "requests_untold",
            ["id"],
            unique=False,
            sqlite_where=sa.text("told_at IS NULL"),
            postgresql_where=sa.text("told_at IS NULL"),
        )

    op.create_table(
        "reviews",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("entry_id", sa.String(length=32), nullable=False),
        sa.Column("message", sa.String(length=26), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("reviews", schema=None) as batch_op:
        batch_op.create_index("reviews_of_entry", ["entry_id", "id"], unique=False)

    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.add_column(sa.Column("enclosures", sa.JSON(), server_default="[]", nullable=False))
        batch_op.add_column(sa.Column("unsure", sa.Boolean(), server_default=sa.text("0"), nullable=False))

    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.add_column(sa.Column("agreement", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("hint", sa.JSON(none_as_null=True), nullable=True))
        batch_op.drop_index(
            batch_op.f("messages_at_work"),
            sqlite_where=sa.text("state = 'received' AND lease_until IS NOT NULL"),
        )
        batch_op.create_index(
            "messages_at_work",
            ["state", "lease_until", "account"],
            unique=False,
            sqlite_where=sa.text("state = 'received' AND lease_until IS NOT NULL"),
            postgresql_where=sa.text("state = 'received' AND lease_until IS NOT NULL"),
        )
        batch_op.drop_index(batch_op.f("messages_by_state"))
        batch_op.create_index("messages_by_state", ["state", "seq"], unique=False)
        batch_op.drop_index(batch_op.f("messages_to_judge"), sqlite_where=sa.text("state = 'received'"))
        batch_op.create_index(
            "messages_to_judge",
            ["state", "account", "seq"],
            unique=False,
            sqlite_where=sa.text("state = 'received'"),
            postgresql_where=sa.text("state = 'received'"),
        )
        batch_op.create_index("messages_by_agreement", ["agreement"], unique=False)
        batch_op.create_index(
            "messages_in_wait",
            ["state", "waiting_for"],
            unique=False,
            sqlite_where=sa.text("state = 'waiting'"),
            postgresql_where=sa.text("state = 'waiting'"),
        )
        batch_op.create_index(
            "messages_listed",
            ["seq", "state", "account", "party", "family", "type", "name"],
            unique=False,
            sqlite_where=sa.text("kind = 'inbound'"),
            postgresql_where=sa.text("kind = 'inbound'"),
        )
        batch_op.create_index(
            "messages_overdue",
            ["state", "until"],
            unique=False,
            sqlite_where=sa.text("state = 'waiting'"),
            postgresql_where=sa.text("state = 'waiting'"),
        )

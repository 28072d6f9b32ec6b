"""Run by Alembic; `adapters.store.migrate` passes the connection."""

from alembic import context

from adapters.store.tables import operations

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=operations.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()

"""Run by Alembic; the connection is handed over by `adapters.stores.migrate`."""

from alembic import context

from adapters.stores import operating_tables

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=operating_tables.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()

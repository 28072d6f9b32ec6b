"""Run by Alembic; the connection is handed over by `adapters.stores.migrate`."""

from alembic import context

from adapters.stores.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()

"""What Alembic runs for every command: the steps, on the connection that it was given."""

from __future__ import annotations

from alembic import context

from cds_service.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, compare_type=True)
with context.begin_transaction():
    context.run_migrations()

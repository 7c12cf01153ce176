"""Runs migrations on the connection that `service.db.migration` passes."""

from alembic import context

from service.db.models import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()

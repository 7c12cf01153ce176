"""Validate the checks that migrations before added as NOT VALID, so that the old rows are known to fit as well.

PostgreSQL reads each table once, and reads and writes go on meanwhile. SQLite validates nothing afterwards.
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"

UNVALIDATED = """
    SELECT conrelid::regclass::text, quote_ident(conname) FROM pg_constraint
    WHERE NOT convalidated AND connamespace = current_schema()::regnamespace ORDER BY 1, 2
"""


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        return
    for table, name in connection.execute(sa.text(UNVALIDATED)).all():
        op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")


def downgrade() -> None:
    # A valid check stays valid.
    pass

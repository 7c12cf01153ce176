"""Hold emails after a restore, and recognise a restored database by its identity.

Compatible with the release before, which does not use the columns; it would send what is held.
"""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"

COLUMNS = (
    ("reminders", "held_at", sa.DateTime(timezone=True)),
    ("notifications", "held_at", sa.DateTime(timezone=True)),
    ("installations", "database_identity", sa.String(100)),
    ("installations", "sent_before", sa.DateTime(timezone=True)),
    ("installations", "checked_at", sa.DateTime(timezone=True)),
)


def upgrade() -> None:
    for table, name, column_type in COLUMNS:
        op.add_column(table, sa.Column(name, column_type, nullable=True))


def downgrade() -> None:
    for table, name, _ in reversed(COLUMNS):
        op.drop_column(table, name)

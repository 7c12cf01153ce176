"""Let the owner of an old address undo a change of it.

Compatible with the release before, which leaves the column empty.
"""

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"


def upgrade() -> None:
    op.add_column("email_changes", sa.Column("undo_until", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("email_changes", "undo_until")

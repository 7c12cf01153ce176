"""Remember which campaign the demo article shows, where staff installed it.

Compatible with the release before, which does not use the column.
"""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    op.add_column("installations", sa.Column("demo_slug", sa.String(64), nullable=True))


def downgrade() -> None:
    op.drop_column("installations", "demo_slug")

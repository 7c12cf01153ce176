"""Record how far the clock of each worker's machine is ahead of the database's.

Compatible with the release before, whose workers leave it at zero.
"""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    op.add_column("heartbeats", sa.Column("clock_skew_seconds", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("heartbeats", "clock_skew_seconds")

"""Let campaigns say what amounts pay for, and for how long a box that was closed stays hidden.

Compatible with the release before, which reads and writes neither.
"""

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"


def upgrade() -> None:
    op.add_column("campaigns", sa.Column("impact", sa.JSON(), nullable=False, server_default="{}"))
    # As a statement, because Alembic adds no column with a CHECK of its own.
    op.execute(
        "ALTER TABLE campaigns ADD COLUMN quiet_days INTEGER NOT NULL DEFAULT 30 "
        "CONSTRAINT ck_campaigns_quiet_days_in_a_year CHECK (quiet_days BETWEEN 1 AND 365)"
    )


def downgrade() -> None:
    op.drop_column("campaigns", "quiet_days")
    op.drop_column("campaigns", "impact")

"""Record from which payment on the day of payment counts, once the frequency of a pledge was switched.

Compatible with the release before, which does not know it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0054"
down_revision = "0053"


def upgrade() -> None:
    op.add_column("pledges", sa.Column("anchored_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("pledges", "anchored_at")

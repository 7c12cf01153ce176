"""Record when a customer saved a card, so that an invoice whose failure is reported later is charged to it too.

Compatible with the release before, which reads and writes none of this.
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    op.add_column("pledges", sa.Column("payment_method_changed_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("pledges", "payment_method_changed_at")

"""Record how each payment was made, for its receipt: the kind of method, its brand and last four digits.

Compatible with the release before, whose workers leave them empty.
"""

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"


def upgrade() -> None:
    op.add_column("payments", sa.Column("method_kind", sa.String(length=32), nullable=True))
    op.add_column("payments", sa.Column("method_brand", sa.String(length=32), nullable=True))
    op.add_column("payments", sa.Column("method_last4", sa.String(length=4), nullable=True))


def downgrade() -> None:
    op.drop_column("payments", "method_last4")
    op.drop_column("payments", "method_brand")
    op.drop_column("payments", "method_kind")

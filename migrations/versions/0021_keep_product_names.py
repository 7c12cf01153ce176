"""Keep the name that a campaign's product was last given at the payment gateway.

Compatible with the release before, which leaves it empty.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.add_column("campaigns", sa.Column("product_name", sa.Text))


def downgrade() -> None:
    op.drop_column("campaigns", "product_name")

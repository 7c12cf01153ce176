"""Mark payments whose amount is what a checkout asked for, so that its invoice can say what was paid.

Compatible with the release before, whose payments are all final.
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    op.add_column("payments", sa.Column("is_provisional", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    op.drop_column("payments", "is_provisional")

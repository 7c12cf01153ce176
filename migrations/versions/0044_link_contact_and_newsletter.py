"""Give a campaign the pages on which readers reach the newsroom and sign up for its newsletter.

Compatible with the release before, which leaves them empty.
"""

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0043"


def upgrade() -> None:
    for name in ("contact_url", "newsletter_url"):
        op.add_column("campaigns", sa.Column(name, sa.Text(), nullable=True))


def downgrade() -> None:
    for name in ("newsletter_url", "contact_url"):
        op.drop_column("campaigns", name)

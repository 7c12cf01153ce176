"""Let campaigns offer a day to pick for a reminder, and keep the title of the page that a reader was on.

Compatible with the release before, which reads and writes neither.
"""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"


def upgrade() -> None:
    op.add_column(
        "campaigns", sa.Column("reminder_pick_date", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column("reminders", sa.Column("page_title", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("reminders", "page_title")
    op.drop_column("campaigns", "reminder_pick_date")

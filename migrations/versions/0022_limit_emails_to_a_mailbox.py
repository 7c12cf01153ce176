"""How often anyone asked for email to one mailbox. The hash is keyed, and rows are deleted after 30 days.

Compatible with the release before, which does not use the table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.create_table(
        "mailbox_limits",
        sa.Column("mailbox_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("scope", sa.String(length=64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("window_started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("count > 0", name=op.f("ck_mailbox_limits_count_positive")),
        sa.PrimaryKeyConstraint("mailbox_hash", "action", "scope", name=op.f("pk_mailbox_limits")),
    )
    op.create_index("ix_mailbox_limits_last_at", "mailbox_limits", ["last_at"], unique=False)


def downgrade() -> None:
    op.drop_table("mailbox_limits")

"""Follow refunds by their status at the gateway, and let requested ones be leased and withdrawn.

The next reconciliation looks back over the whole time that the gateway lists events for, so that refunds which
failed before are found. Compatible with the release before, as long as no refund has a new status.
"""

import sqlalchemy as sa
from alembic import op

from migrations.sqlite import replace_in_table

revision = "0019"
down_revision = "0018"

BEFORE = "status IN ('requested', 'succeeded', 'failed')"
AFTER = "status IN ('requested', 'withdrawn', 'pending', 'succeeded', 'cancelled', 'failed')"


def upgrade() -> None:
    op.add_column("refunds", sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("refunds", sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True))
    _replace_check(BEFORE, AFTER)
    op.execute("DELETE FROM reconciliations")


def downgrade() -> None:
    op.execute("UPDATE refunds SET status = 'succeeded' WHERE status = 'pending'")
    op.execute("UPDATE refunds SET status = 'failed' WHERE status IN ('withdrawn', 'cancelled')")
    _replace_check(AFTER, BEFORE)
    for column in ("ended_at", "locked_until"):
        op.drop_column("refunds", column)


def _replace_check(before: str, after: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        replace_in_table("refunds", before, after)
    else:
        op.drop_constraint(op.f("ck_refunds_status_known"), "refunds")
        op.execute(f"ALTER TABLE refunds ADD CONSTRAINT ck_refunds_status_known CHECK ({after})")

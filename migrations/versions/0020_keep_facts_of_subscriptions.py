"""What the gateway reports of a pledge beyond its status: money on its way, an end, a pause, an open invoice.

Compatible with the release before, as long as no pledge is `processing`.
"""

import sqlalchemy as sa
from alembic import op

from migrations.sqlite import replace_in_table

revision = "0020"
down_revision = "0019"

OTHERS = "'completed', 'active', 'past_due', 'cancelled', 'expired', 'refunded'"
BEFORE = f"status IN ('pending', {OTHERS})"
AFTER = f"status IN ('pending', 'processing', {OTHERS})"
INSTANTS = (
    "checkout_completed_at",
    "payment_bounced_at",
    "settled_outside_at",
    "cancel_at",
    "resumes_at",
    "open_invoice_at",
    "action_required_at",
    "invoice_retry_requested_at",
)


def upgrade() -> None:
    for name in INSTANTS:
        op.add_column("pledges", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.add_column("pledges", sa.Column("is_paused", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("pledges", sa.Column("subscription_state", sa.String(length=64), nullable=True))
    op.add_column("pledges", sa.Column("previous_subscription_state", sa.String(length=64), nullable=True))
    op.add_column("pledges", sa.Column("open_invoice_reference", sa.Text(), nullable=True))
    op.add_column("pledges", sa.Column("open_invoice_url", sa.LargeBinary(), nullable=True))
    _replace_check(BEFORE, AFTER)
    op.create_index("ix_pledges_customer_reference", "pledges", ["customer_reference"])
    op.create_index(
        "ix_pledges_invoice_retry_requested_at",
        "pledges",
        ["invoice_retry_requested_at"],
        postgresql_where=sa.text("invoice_retry_requested_at IS NOT NULL"),
        sqlite_where=sa.text("invoice_retry_requested_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_pledges_invoice_retry_requested_at", "pledges")
    op.drop_index("ix_pledges_customer_reference", "pledges")
    # The release before knows a checkout whose money is on its way as one that is not paid yet.
    op.execute("UPDATE pledges SET status = 'pending' WHERE status = 'processing'")
    op.execute("UPDATE pledge_status_changes SET to_status = 'pending' WHERE to_status = 'processing'")
    op.execute("UPDATE pledge_status_changes SET from_status = 'pending' WHERE from_status = 'processing'")
    _replace_check(AFTER, BEFORE)
    for name in (
        "open_invoice_url",
        "open_invoice_reference",
        "previous_subscription_state",
        "subscription_state",
        "is_paused",
        *reversed(INSTANTS),
    ):
        op.drop_column("pledges", name)


def _replace_check(before: str, after: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        replace_in_table("pledges", before, after)
    else:
        op.drop_constraint(op.f("ck_pledges_status_known"), "pledges")
        # The rows fit already, so that there is nothing to look at while readers wait.
        op.execute(f"ALTER TABLE pledges ADD CONSTRAINT ck_pledges_status_known CHECK ({after}) NOT VALID")

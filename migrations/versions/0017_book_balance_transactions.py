"""The type, time and origin of balance transactions, and until when they were listed.

Every row so far is the one of a payment's charge. Compatible with the release before, which leaves the new columns
empty.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

REFERENCES = ("charge_reference", "refund_reference", "dispute_reference")


def upgrade() -> None:
    op.add_column(
        "balance_transactions", sa.Column("kind", sa.String(length=64), server_default="charge", nullable=False)
    )
    op.add_column("balance_transactions", sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=True))
    for name in REFERENCES:
        op.add_column("balance_transactions", sa.Column(name, sa.Text(), nullable=True))
    op.execute(
        "UPDATE balance_transactions SET occurred_at ="
        " (SELECT paid_at FROM payments WHERE payments.id = balance_transactions.payment_id)"
    )
    for name in ("charge_reference", "dispute_reference"):
        op.create_index(f"ix_balance_transactions_{name}", "balance_transactions", [name])
    op.create_table(
        "balance_cursors",
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("listed_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("newest_payment_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("gateway", name=op.f("pk_balance_cursors")),
    )


def downgrade() -> None:
    op.drop_table("balance_cursors")
    for name in ("charge_reference", "dispute_reference"):
        op.drop_index(f"ix_balance_transactions_{name}", "balance_transactions")
    # The release before knows only the transaction of a payment's charge.
    op.execute("DELETE FROM balance_transactions WHERE kind NOT IN ('charge', 'payment')")
    for name in (*reversed(REFERENCES), "occurred_at", "kind"):
        op.drop_column("balance_transactions", name)

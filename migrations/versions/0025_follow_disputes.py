"""What a dispute withholds, its reason and the time of its status; more statuses; early fraud warnings.

So far a dispute withheld its amount while it was open or lost. Its status came from the last applied event about
the pledge that closed a dispute, or from the one that opened it. Compatible with the release before, which knows
none of the new statuses and leaves the new columns empty.
"""

import sqlalchemy as sa
from alembic import op

from migrations.sqlite import replace_in_table

revision = "0025"
down_revision = "0024"

BEFORE = "CONSTRAINT ck_disputes_status_known CHECK (status IN ('open', 'won', 'lost'))"
AFTER = (
    "CONSTRAINT ck_disputes_status_known CHECK"
    " (status IN ('inquiry', 'open', 'won', 'lost', 'prevented', 'closed'))"
)
WITHHELD = "CONSTRAINT ck_disputes_withheld_not_negative CHECK (withheld_minor >= 0)"
CLOSED_AT = (
    "(SELECT max(gateway_events.occurred_at) FROM gateway_events"
    " JOIN payments ON payments.pledge_id = gateway_events.pledge_id"
    " WHERE payments.id = disputes.payment_id AND gateway_events.kind = 'charge.dispute.closed'"
    " AND gateway_events.status = 'applied')"
)


def upgrade() -> None:
    op.add_column("disputes", sa.Column("withheld_minor", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("disputes", sa.Column("reason", sa.Text(), nullable=True))
    op.add_column("disputes", sa.Column("status_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE disputes SET withheld_minor = amount_minor WHERE status IN ('open', 'lost')")
    op.execute("UPDATE disputes SET status_at = opened_at WHERE status = 'open'")
    op.execute(f"UPDATE disputes SET status_at = coalesce({CLOSED_AT}, opened_at) WHERE status != 'open'")  # nosec B608  # noqa: S608 - a constant
    if op.get_bind().dialect.name == "sqlite":
        replace_in_table("disputes", BEFORE, f"{AFTER}, {WITHHELD}")
    else:
        op.drop_constraint(op.f("ck_disputes_status_known"), "disputes")
        op.execute(f"ALTER TABLE disputes ADD {AFTER}")
        op.execute(f"ALTER TABLE disputes ADD {WITHHELD}")
    op.create_table(
        "fraud_warnings",
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("gateway_reference", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("warned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_fraud_warnings_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fraud_warnings")),
        sa.UniqueConstraint("gateway_reference", name=op.f("uq_fraud_warnings_gateway_reference")),
    )
    op.create_index("ix_fraud_warnings_payment_id", "fraud_warnings", ["payment_id"], unique=False)


def downgrade() -> None:
    op.drop_table("fraud_warnings")
    # The release before knows no inquiries; none of these withholds money.
    op.execute("DELETE FROM disputes WHERE status IN ('inquiry', 'prevented', 'closed')")
    if op.get_bind().dialect.name == "sqlite":
        replace_in_table("disputes", f"{AFTER}, {WITHHELD}", BEFORE)
    else:
        op.drop_constraint(op.f("ck_disputes_withheld_not_negative"), "disputes")
        op.drop_constraint(op.f("ck_disputes_status_known"), "disputes")
        op.execute(f"ALTER TABLE disputes ADD {BEFORE}")
    for name in ("status_at", "reason", "withheld_minor"):
        op.drop_column("disputes", name)

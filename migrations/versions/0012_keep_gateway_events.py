"""What gateways told us, and how far that was compared with what they tell of themselves.

Compatible with the release before, which uses none of these tables.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "gateway_events",
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=128), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=True),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("pledge_id", sa.Uuid(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "status IN ('received', 'applied', 'ignored', 'waiting', 'parked')",
            name=op.f("ck_gateway_events_status_known"),
        ),
        sa.ForeignKeyConstraint(
            ["pledge_id"], ["pledges.id"], name=op.f("fk_gateway_events_pledge_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateway_events")),
        sa.UniqueConstraint("gateway", "reference", name=op.f("uq_gateway_events_gateway_reference")),
    )
    op.create_index(
        "ix_gateway_events_open",
        "gateway_events",
        ["retry_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('received', 'waiting')"),
        sqlite_where=sa.text("status IN ('received', 'waiting')"),
    )
    op.create_index("ix_gateway_events_pledge_id", "gateway_events", ["pledge_id"], unique=False)
    op.create_index("ix_gateway_events_received_at", "gateway_events", ["received_at"], unique=False)
    op.create_table(
        "reconciliations",
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("reconciled_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("gateway", name=op.f("pk_reconciliations")),
    )


def downgrade() -> None:
    for table in ("reconciliations", "gateway_events"):
        op.drop_table(table)

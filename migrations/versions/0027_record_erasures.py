"""Erasures that outlast a crash, pledges that stay erased, and the hashed addresses of gateway events.

Compatible with the release before. `mainstay migrate` and the worker hash the addresses of events stored before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"

REQUESTED, UNDELETED, UNHASHED = "status = 'requested'", "deleted_at IS NULL", "NOT addresses_hashed"


def upgrade() -> None:
    op.add_column("pledges", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "gateway_events", sa.Column("addresses_hashed", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("gateway_events", sa.Column("redacted_at", sa.DateTime(timezone=True), nullable=True))
    _create_partial_index("ix_gateway_events_unhashed", "gateway_events", "id", UNHASHED)
    op.create_table(
        "gateway_event_addresses",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("email_hash", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["gateway_events.id"],
            name=op.f("fk_gateway_event_addresses_event_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("event_id", "email_hash", name=op.f("pk_gateway_event_addresses")),
    )
    op.create_index("ix_gateway_event_addresses_email_hash", "gateway_event_addresses", ["email_hash"])
    op.create_table(
        "erasures",
        sa.Column("email_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=True),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("requested_by", sa.String(length=200), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recurring_ended", sa.Integer(), nullable=False),
        sa.Column("found", sa.Boolean(), nullable=False),
        sa.Column("pledges", sa.Integer(), nullable=False),
        sa.Column("reminders", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("status IN ('requested', 'completed')", name=op.f("ck_erasures_status_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
    )
    op.create_index("ix_erasures_email_hash", "erasures", ["email_hash"])
    _create_partial_index("ix_erasures_requested", "erasures", "next_attempt_at", REQUESTED)
    op.create_table(
        "erased_customers",
        sa.Column("erasure_id", sa.Uuid(), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("customer_reference", sa.Text(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("redacted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["erasure_id"], ["erasures.id"], name=op.f("fk_erased_customers_erasure_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("erasure_id", "gateway", "customer_reference", name=op.f("pk_erased_customers")),
    )
    _create_partial_index("ix_erased_customers_next_attempt_at", "erased_customers", "next_attempt_at", UNDELETED)


def downgrade() -> None:
    op.drop_table("erased_customers")
    op.drop_table("erasures")
    op.drop_table("gateway_event_addresses")
    op.drop_index("ix_gateway_events_unhashed", "gateway_events")
    op.drop_column("gateway_events", "redacted_at")
    op.drop_column("gateway_events", "addresses_hashed")
    op.drop_column("pledges", "erased_at")


def _create_partial_index(name: str, table: str, column: str, condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, [column], postgresql_where=where, sqlite_where=where)

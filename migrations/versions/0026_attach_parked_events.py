"""Remember subscriptions that others replaced, and count parked events quickly.

Compatible with the release before, which does not use the table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"

PARKED = sa.text("status = 'parked'")


def upgrade() -> None:
    op.create_table(
        "former_subscriptions",
        sa.Column("gateway", sa.String(32), nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("pledge_id", sa.Uuid, nullable=False),
        sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("gateway", "reference", name=op.f("pk_former_subscriptions")),
        sa.ForeignKeyConstraint(
            ["pledge_id"],
            ["pledges.id"],
            name=op.f("fk_former_subscriptions_pledge_id"),
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_former_subscriptions_pledge_id", "former_subscriptions", ["pledge_id"])
    op.create_index(
        "ix_gateway_events_parked", "gateway_events", ["kind"], postgresql_where=PARKED, sqlite_where=PARKED
    )


def downgrade() -> None:
    op.drop_index("ix_gateway_events_parked", "gateway_events")
    op.drop_table("former_subscriptions")

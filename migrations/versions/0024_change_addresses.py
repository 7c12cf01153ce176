"""Let a supporter's address change, and the gateway's customers follow it.

Compatible with the release before, which changes no address.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.add_column("supporters", sa.Column("email_changed_at", sa.DateTime(timezone=True)))
    op.create_table(
        "customer_updates",
        sa.Column("supporter_id", sa.Uuid(), nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("customer_reference", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["supporter_id"], ["supporters.id"], name=op.f("fk_customer_updates_supporter_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_updates")),
        sa.UniqueConstraint(
            "gateway", "customer_reference", name=op.f("uq_customer_updates_gateway_customer_reference")
        ),
    )
    op.create_index("ix_customer_updates_supporter_id", "customer_updates", ["supporter_id"])
    pending = sa.text("completed_at IS NULL")
    op.create_index(
        "ix_customer_updates_pending", "customer_updates", ["id"], postgresql_where=pending, sqlite_where=pending
    )


def downgrade() -> None:
    op.drop_table("customer_updates")
    op.drop_column("supporters", "email_changed_at")

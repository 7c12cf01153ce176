"""Identify this deployment, and look up pledges by the gateway's customer."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"

INDEX = "ix_pledges_customer_reference"


def upgrade() -> None:
    op.create_table(
        "installations",
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_installations")),
        sa.CheckConstraint("number = 1", name=op.f("ck_installations_only_one")),
    )
    has_customer = sa.text("customer_reference IS NOT NULL")
    op.create_index(
        INDEX, "pledges", ["customer_reference"], postgresql_where=has_customer, sqlite_where=has_customer
    )


def downgrade() -> None:
    op.drop_index(INDEX, "pledges")
    op.drop_table("installations")

"""What a pledge that recurs is called at the gateway, when it renews, and what is wanted of the gateway.

Compatible with the release before, which leaves all of it empty.
"""

import sqlalchemy as sa
from alembic import op

from migrations.sqlite import replace_in_table

revision = "0010"
down_revision = "0009"

PRIMARY_KEY = "CONSTRAINT pk_pledges"
UNIQUE = "CONSTRAINT uq_pledges_gateway_subscription_reference UNIQUE (gateway, subscription_reference)"
CHECK = "CONSTRAINT ck_pledges_fees_not_negative CHECK (fees_minor >= 0)"
INSTANTS = ("renews_at", "stood_at", "ended_at", "cancel_requested_at")


def upgrade() -> None:
    op.add_column("pledges", sa.Column("fees_minor", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("pledges", sa.Column("subscription_reference", sa.Text(), nullable=True))
    op.add_column("pledges", sa.Column("customer_reference", sa.Text(), nullable=True))
    for name in INSTANTS:
        op.add_column("pledges", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.add_column("pledges", sa.Column("wanted_minor", sa.BigInteger(), nullable=True))
    if op.get_bind().dialect.name == "sqlite":
        replace_in_table("pledges", PRIMARY_KEY, f"{UNIQUE}, {CHECK}, {PRIMARY_KEY}")
    else:
        op.execute(f"ALTER TABLE pledges ADD {UNIQUE}")
        # Every row has the default, so that there is nothing to look at while readers wait.
        op.execute(f"ALTER TABLE pledges ADD {CHECK} NOT VALID")
    op.create_index(
        "ix_pledges_renews_at",
        "pledges",
        ["renews_at"],
        unique=False,
        postgresql_where=sa.text("status = 'active'"),
        sqlite_where=sa.text("status = 'active'"),
    )


def downgrade() -> None:
    op.drop_index("ix_pledges_renews_at", "pledges")
    if op.get_bind().dialect.name == "sqlite":
        replace_in_table("pledges", f"{UNIQUE}, {CHECK}, {PRIMARY_KEY}", PRIMARY_KEY)
    else:
        op.drop_constraint("uq_pledges_gateway_subscription_reference", "pledges")
        op.drop_constraint(op.f("ck_pledges_fees_not_negative"), "pledges")
    for name in (
        "wanted_minor",
        *reversed(INSTANTS),
        "customer_reference",
        "subscription_reference",
        "fees_minor",
    ):
        op.drop_column("pledges", name)

"""Campaigns and what readers may choose."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "campaigns",
        sa.Column("slug", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("heading", sa.Text(), nullable=False),
        sa.Column("message", sa.JSON(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("lang", sa.String(length=35), nullable=False),
        sa.Column("default_frequency", sa.String(length=32), nullable=False),
        sa.Column("reminder_enabled", sa.Boolean(), nullable=False),
        sa.Column("reminder_choices", sa.JSON(), nullable=False),
        sa.Column("privacy_url", sa.Text(), nullable=True),
        sa.Column("support_url", sa.Text(), nullable=True),
        sa.Column("origins", sa.JSON(), nullable=False),
        sa.Column("return_hosts", sa.JSON(), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("send_hour", sa.Integer(), nullable=False),
        sa.Column("texts", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "default_frequency IN ('once', 'monthly', 'annual')", name=op.f("ck_campaigns_default_frequency_known")
        ),
        sa.CheckConstraint("send_hour BETWEEN 0 AND 23", name=op.f("ck_campaigns_send_hour_in_a_day")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaigns")),
        sa.UniqueConstraint("slug", name=op.f("uq_campaigns_slug")),
    )
    op.create_table(
        "support_choices",
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("frequency", sa.String(length=32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("presets_minor", sa.JSON(), nullable=False),
        sa.Column("default_minor", sa.BigInteger(), nullable=False),
        sa.Column("minimum_minor", sa.BigInteger(), nullable=False),
        sa.Column("maximum_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "frequency IN ('once', 'monthly', 'annual')", name=op.f("ck_support_choices_frequency_known")
        ),
        sa.CheckConstraint(
            "default_minor >= minimum_minor AND default_minor <= maximum_minor",
            name=op.f("ck_support_choices_default_within_limits"),
        ),
        sa.CheckConstraint("minimum_minor > 0", name=op.f("ck_support_choices_minimum_positive")),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaigns.id"], name=op.f("fk_support_choices_campaign_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("campaign_id", "frequency", name=op.f("pk_support_choices")),
    )


def downgrade() -> None:
    op.drop_table("support_choices")
    op.drop_table("campaigns")

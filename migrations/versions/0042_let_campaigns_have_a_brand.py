"""Let campaigns have a logo, a colour, a heading font and a postal address.

Compatible with the release before, which shows its own look.
"""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"


def upgrade() -> None:
    op.add_column("campaigns", sa.Column("brand", sa.JSON(), nullable=False, server_default="{}"))
    op.create_table(
        "brand_images",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("email_png", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_brand_images"),
    )


def downgrade() -> None:
    op.drop_table("brand_images")
    op.drop_column("campaigns", "brand")

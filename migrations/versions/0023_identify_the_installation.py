"""Identify this installation by an id of its own.

Compatible with the release before, which does not use the table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.create_table(
        "installations",
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_installations")),
        sa.CheckConstraint("number = 1", name=op.f("ck_installations_only_one")),
    )


def downgrade() -> None:
    op.drop_table("installations")

"""State which older releases may run on this schema.

Compatible with the release before, which does not use the table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"


def upgrade() -> None:
    op.create_table(
        "schema_compatibility",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("oldest_revision", sa.String(32), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schema_compatibility")),
        sa.CheckConstraint("id = 1", name=op.f("ck_schema_compatibility_only_one")),
    )


def downgrade() -> None:
    op.drop_table("schema_compatibility")

"""Store a known text under the secret keys, which shows whether a process has the right ones.

`mainstay migrate` and the worker fill the table. Compatible with the release before, which does not read it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    op.create_table(
        "key_canaries",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("canary", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_key_canaries"),
        sa.CheckConstraint("id = 1", name=op.f("ck_key_canaries_only_one")),
    )


def downgrade() -> None:
    op.drop_table("key_canaries")

"""Mark the supporters whose hash is of the folded address.

Compatible with the release before, whose rows get version 1. `mainstay migrate` and the worker fold them
afterwards, in small transactions and with the keys, which a migration does not have.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("supporters", sa.Column("hash_version", sa.SmallInteger(), server_default="1", nullable=False))
    unfolded = sa.text("hash_version < 2")
    op.create_index(
        "ix_supporters_unfolded", "supporters", ["id"], postgresql_where=unfolded, sqlite_where=unfolded
    )


def downgrade() -> None:
    op.drop_index("ix_supporters_unfolded", "supporters")
    op.drop_column("supporters", "hash_version")

"""The reminder that brought a reader back to give.

Compatible with the release before, which leaves it empty.
"""

import sqlalchemy as sa
from alembic import op

from migrations.sqlite import replace_in_table

revision = "0008"
down_revision = "0007"

PRIMARY_KEY = "CONSTRAINT pk_pledges"
FOREIGN_KEY = (
    "CONSTRAINT fk_pledges_reminder_id FOREIGN KEY (reminder_id) REFERENCES reminders (id) ON DELETE SET NULL"
)


def upgrade() -> None:
    op.add_column("pledges", sa.Column("reminder_id", sa.Uuid(), nullable=True))
    if op.get_bind().dialect.name == "sqlite":
        replace_in_table("pledges", PRIMARY_KEY, f"{FOREIGN_KEY}, {PRIMARY_KEY}")
    else:
        op.execute(f"ALTER TABLE pledges ADD {FOREIGN_KEY}")
    op.create_index(
        "ix_pledges_reminder_id",
        "pledges",
        ["reminder_id"],
        unique=False,
        postgresql_where=sa.text("reminder_id IS NOT NULL"),
        sqlite_where=sa.text("reminder_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_pledges_reminder_id", "pledges")
    if op.get_bind().dialect.name == "sqlite":
        replace_in_table("pledges", f"{FOREIGN_KEY}, {PRIMARY_KEY}", PRIMARY_KEY)
    op.drop_column("pledges", "reminder_id")

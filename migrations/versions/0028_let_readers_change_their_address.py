"""Let supporters ask for another address, and tell both addresses of it.

Compatible with the release before, which reads and writes none of this.
"""

import sqlalchemy as sa
from alembic import op

from migrations.sqlite import replace_in_table

revision = "0028"
down_revision = "0027"

TABLE = "notifications"
PRIMARY_KEY = "CONSTRAINT pk_notifications"
FOREIGN_KEY = (
    "CONSTRAINT fk_notifications_email_change_id FOREIGN KEY (email_change_id) REFERENCES email_changes (id)"
    " ON DELETE CASCADE"
)
OLD_KINDS = "kind IN ('receipt', 'missed', 'renewal', 'ended', 'sign_in', 'alert')"
NEW_KINDS = (
    "kind IN ('receipt', 'missed', 'renewal', 'ended', 'sign_in', 'email_change', 'email_changed', 'alert')"
)


def upgrade() -> None:
    op.create_table(
        "email_changes",
        sa.Column("supporter_id", sa.Uuid(), nullable=False),
        sa.Column("new_email", sa.LargeBinary(), nullable=False),
        sa.Column("new_email_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("old_email", sa.LargeBinary(), nullable=True),
        sa.Column("old_email_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["supporter_id"], ["supporters.id"], name=op.f("fk_email_changes_supporter_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_email_changes")),
    )
    for column in ("supporter_id", "new_email_hash", "old_email_hash", "requested_at"):
        op.create_index(f"ix_email_changes_{column}", "email_changes", [column])
    op.add_column(TABLE, sa.Column("email_change_id", sa.Uuid(), nullable=True))
    if op.get_bind().dialect.name == "sqlite":
        replace_in_table(TABLE, PRIMARY_KEY, f"{FOREIGN_KEY}, {PRIMARY_KEY}")
    else:
        op.execute(f"ALTER TABLE {TABLE} ADD {FOREIGN_KEY}")
    op.create_index("ix_notifications_email_change_id", TABLE, ["email_change_id"])
    _replace_kinds(OLD_KINDS, NEW_KINDS)


def downgrade() -> None:
    op.execute("DELETE FROM notifications WHERE kind IN ('email_change', 'email_changed')")
    _replace_kinds(NEW_KINDS, OLD_KINDS)
    op.drop_index("ix_notifications_email_change_id", TABLE)
    if op.get_bind().dialect.name == "sqlite":
        replace_in_table(TABLE, f"{FOREIGN_KEY}, {PRIMARY_KEY}", PRIMARY_KEY)
    op.drop_column(TABLE, "email_change_id")
    op.drop_table("email_changes")


def _replace_kinds(before: str, after: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        replace_in_table(TABLE, before, after)
    else:
        op.drop_constraint(op.f("ck_notifications_kind_known"), TABLE)
        op.execute(f"ALTER TABLE {TABLE} ADD CONSTRAINT ck_notifications_kind_known CHECK ({after})")

"""Let a notification be an alert to staff, with its own subject and body."""

import sqlalchemy as sa
from alembic import op

from migrations.sqlite import replace_in_table

revision = "0015"
down_revision = "0014"

TABLE = "notifications"
OLD_KINDS = "kind IN ('receipt', 'missed', 'renewal', 'ended', 'sign_in')"
NEW_KINDS = "kind IN ('receipt', 'missed', 'renewal', 'ended', 'sign_in', 'alert')"


def upgrade() -> None:
    for column in ("subject", "body"):
        op.add_column(TABLE, sa.Column(column, sa.Text))
    _replace_kinds(OLD_KINDS, NEW_KINDS)


def downgrade() -> None:
    op.execute("DELETE FROM notifications WHERE kind = 'alert'")
    _replace_kinds(NEW_KINDS, OLD_KINDS)
    for column in ("subject", "body"):
        op.drop_column(TABLE, column)


def _replace_kinds(before: str, after: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        replace_in_table(TABLE, before, after)
    else:
        op.drop_constraint(op.f("ck_notifications_kind_known"), TABLE)
        op.execute(f"ALTER TABLE {TABLE} ADD CONSTRAINT ck_notifications_kind_known CHECK ({after})")

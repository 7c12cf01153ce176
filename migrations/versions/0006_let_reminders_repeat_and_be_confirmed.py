"""Reminders that come again, that are confirmed first, and that a known worker holds.

Compatible with the release before: every new column has a default, and no word is taken away. The release before
reads no reminder that is `unconfirmed`, since it neither claims nor lists by that word.
"""

import sqlalchemy as sa
from alembic import op

from migrations.sqlite import replace_in_table

revision = "0006"
down_revision = "0005"

BEFORE = "'scheduled', 'sending', 'sent', 'cancelled', 'skipped', 'failed'"
AFTER = f"'unconfirmed', {BEFORE}"


def upgrade() -> None:
    op.add_column("campaigns", sa.Column("reminder_repeats", sa.JSON(), server_default="[]", nullable=False))
    op.add_column(
        "campaigns", sa.Column("reminder_confirm", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("campaigns", sa.Column("send_until", sa.Integer(), server_default="21", nullable=False))
    op.execute("UPDATE campaigns SET send_until = 24 WHERE send_hour >= 21")
    op.add_column("reminders", sa.Column("leased_by", sa.Uuid(), nullable=True))
    op.add_column("reminders", sa.Column("every_months", sa.Integer(), nullable=True))
    op.add_column(
        "reminders", sa.Column("awaits_confirmation", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("reminders", sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True))
    _allow(BEFORE, AFTER)
    op.create_index(
        "ix_reminders_awaiting",
        "reminders",
        ["asked_at"],
        unique=False,
        postgresql_where=sa.text("awaits_confirmation"),
        sqlite_where=sa.text("awaits_confirmation"),
    )


def downgrade() -> None:
    op.drop_index("ix_reminders_awaiting", "reminders")
    op.execute("DELETE FROM reminders WHERE status = 'unconfirmed'")
    _allow(AFTER, BEFORE)
    for name in ("confirmed_at", "awaits_confirmation", "every_months", "leased_by"):
        op.drop_column("reminders", name)
    for name in ("send_until", "reminder_confirm", "reminder_repeats"):
        op.drop_column("campaigns", name)


def _allow(old: str, new: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        replace_in_table("reminders", f"status IN ({old})", f"status IN ({new})")
        return
    op.drop_constraint(op.f("ck_reminders_status_known"), "reminders")
    # Checking millions of rows would keep readers waiting; the words before are all among the words after.
    op.execute(
        f"ALTER TABLE reminders ADD CONSTRAINT ck_reminders_status_known CHECK (status IN ({new})) NOT VALID"
    )

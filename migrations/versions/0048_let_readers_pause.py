"""Let readers pause their support: the request before the gateway has it, and the emails about it.

Compatible with the release before, which enqueues none. Stop its workers first: they do not know these emails.
"""

import sqlalchemy as sa
from alembic import op

from migrations.sqlite import replace_in_table

revision = "0048"
down_revision = "0047"

TABLE = "emails"
OLD_KINDS = (
    "kind IN ('reminder', 'reminder_confirmation', 'receipt', 'missed', 'renewal', 'ended', 'refund', "
    "'monthly_yearly', 'sign_in', 'email_change', 'email_changed', 'alert')"
)
NEW_KINDS = (
    "kind IN ('reminder', 'reminder_confirmation', 'receipt', 'missed', 'renewal', 'ended', 'refund', "
    "'monthly_yearly', 'paused', 'resuming', 'sign_in', 'email_change', 'email_changed', 'alert')"
)
REQUIRED = {kind: f"kind != '{kind}' OR (pledge_id IS NOT NULL)" for kind in ("paused", "resuming")}
PRIMARY_KEY = "CONSTRAINT pk_emails"
ADDED = "".join(
    f"CONSTRAINT ck_emails_{kind}_refers_to_its_own CHECK ({condition}), " for kind, condition in REQUIRED.items()
)


def upgrade() -> None:
    op.add_column("pledges", sa.Column("pause_requested_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("pledges", sa.Column("pending_resumes_at", sa.DateTime(timezone=True), nullable=True))
    if op.get_bind().dialect.name == "sqlite":
        replace_in_table(TABLE, OLD_KINDS, NEW_KINDS)
        replace_in_table(TABLE, PRIMARY_KEY, f"{ADDED}{PRIMARY_KEY}")
        return
    _replace_kinds(NEW_KINDS)
    for kind, condition in REQUIRED.items():
        op.execute(f"ALTER TABLE {TABLE} ADD CONSTRAINT ck_emails_{kind}_refers_to_its_own CHECK ({condition})")


def downgrade() -> None:
    op.execute("DELETE FROM emails WHERE kind IN ('paused', 'resuming')")
    if op.get_bind().dialect.name == "sqlite":
        replace_in_table(TABLE, f"{ADDED}{PRIMARY_KEY}", PRIMARY_KEY)
        replace_in_table(TABLE, NEW_KINDS, OLD_KINDS)
    else:
        for kind in REQUIRED:
            op.drop_constraint(op.f(f"ck_emails_{kind}_refers_to_its_own"), TABLE)
        _replace_kinds(OLD_KINDS)
    op.drop_column("pledges", "pending_resumes_at")
    op.drop_column("pledges", "pause_requested_at")


def _replace_kinds(kinds: str) -> None:
    op.drop_constraint(op.f("ck_emails_kind_known"), TABLE)
    op.execute(f"ALTER TABLE {TABLE} ADD CONSTRAINT ck_emails_kind_known CHECK ({kinds})")

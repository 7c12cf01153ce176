"""Confirm by email what readers change of their support: amount, frequency, the end of a pause, a missed pause.

Compatible with the release before, which enqueues none. Stop its workers first: they do not know these emails.
"""

from alembic import op

from migrations.sqlite import replace_in_table

revision = "0053"
down_revision = "0052"

TABLE = "emails"
OLD_KINDS = (
    "kind IN ('reminder', 'reminder_confirmation', 'receipt', 'missed', 'renewal', 'ended', 'refund', "
    "'monthly_yearly', 'yearly_receipt', 'paused', 'resuming', 'sign_in', 'email_change', 'email_changed', "
    "'erasure', 'alert')"
)
ADDED_KINDS = ("pause_missed", "resumed", "changed")
NEW_KINDS = OLD_KINDS.replace("'resuming', ", f"'resuming', {', '.join(map(repr, ADDED_KINDS))}, ")
REQUIRED = {kind: f"kind != '{kind}' OR (pledge_id IS NOT NULL)" for kind in ADDED_KINDS}
PRIMARY_KEY = "CONSTRAINT pk_emails"
ADDED = "".join(
    f"CONSTRAINT ck_emails_{kind}_refers_to_its_own CHECK ({condition}), " for kind, condition in REQUIRED.items()
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        replace_in_table(TABLE, OLD_KINDS, NEW_KINDS)
        replace_in_table(TABLE, PRIMARY_KEY, f"{ADDED}{PRIMARY_KEY}")
        return
    _replace_kinds(NEW_KINDS)
    for kind, condition in REQUIRED.items():
        op.execute(f"ALTER TABLE {TABLE} ADD CONSTRAINT ck_emails_{kind}_refers_to_its_own CHECK ({condition})")


def downgrade() -> None:
    op.execute("DELETE FROM emails WHERE kind IN ('pause_missed', 'resumed', 'changed')")
    if op.get_bind().dialect.name == "sqlite":
        replace_in_table(TABLE, f"{ADDED}{PRIMARY_KEY}", PRIMARY_KEY)
        replace_in_table(TABLE, NEW_KINDS, OLD_KINDS)
        return
    for kind in REQUIRED:
        op.drop_constraint(op.f(f"ck_emails_{kind}_refers_to_its_own"), TABLE)
    _replace_kinds(OLD_KINDS)


def _replace_kinds(kinds: str) -> None:
    op.drop_constraint(op.f("ck_emails_kind_known"), TABLE)
    op.execute(f"ALTER TABLE {TABLE} ADD CONSTRAINT ck_emails_kind_known CHECK ({kinds})")

"""Let emails tell of refunds, and once a year what a monthly supporter gives; campaigns set when and whether.

Compatible with the release before, which enqueues neither. Stop its workers first: they do not know these emails.
"""

import sqlalchemy as sa
from alembic import op

from migrations.sqlite import replace_in_table

revision = "0046"
down_revision = "0045"

TABLE = "emails"
OLD_KINDS = (
    "kind IN ('reminder', 'reminder_confirmation', 'receipt', 'missed', 'renewal', 'ended', 'sign_in', "
    "'email_change', 'email_changed', 'alert')"
)
NEW_KINDS = (
    "kind IN ('reminder', 'reminder_confirmation', 'receipt', 'missed', 'renewal', 'ended', 'refund', "
    "'monthly_yearly', 'sign_in', 'email_change', 'email_changed', 'alert')"
)
REQUIRED = {
    "refund": "kind != 'refund' OR (pledge_id IS NOT NULL AND payment_id IS NOT NULL)",
    "monthly_yearly": "kind != 'monthly_yearly' OR (pledge_id IS NOT NULL)",
}
PRIMARY_KEY = "CONSTRAINT pk_emails"
ADDED = "".join(
    f"CONSTRAINT ck_emails_{kind}_refers_to_its_own CHECK ({condition}), " for kind, condition in REQUIRED.items()
)


def upgrade() -> None:
    op.add_column(
        "campaigns", sa.Column("notices_monthly_yearly", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    # As a statement, because Alembic adds no column with a CHECK of its own.
    op.execute(
        "ALTER TABLE campaigns ADD COLUMN notices_renewal_days INTEGER NOT NULL DEFAULT 14 "
        "CONSTRAINT ck_campaigns_notices_renewal_days_in_range CHECK (notices_renewal_days BETWEEN 1 AND 60)"
    )
    if op.get_bind().dialect.name == "sqlite":
        replace_in_table(TABLE, OLD_KINDS, NEW_KINDS)
        replace_in_table(TABLE, PRIMARY_KEY, f"{ADDED}{PRIMARY_KEY}")
        return
    _replace_kinds(NEW_KINDS)
    for kind, condition in REQUIRED.items():
        op.execute(f"ALTER TABLE {TABLE} ADD CONSTRAINT ck_emails_{kind}_refers_to_its_own CHECK ({condition})")


def downgrade() -> None:
    op.execute("DELETE FROM emails WHERE kind IN ('refund', 'monthly_yearly')")
    if op.get_bind().dialect.name == "sqlite":
        replace_in_table(TABLE, f"{ADDED}{PRIMARY_KEY}", PRIMARY_KEY)
        replace_in_table(TABLE, NEW_KINDS, OLD_KINDS)
    else:
        for kind in REQUIRED:
            op.drop_constraint(op.f(f"ck_emails_{kind}_refers_to_its_own"), TABLE)
        _replace_kinds(OLD_KINDS)
    op.drop_column("campaigns", "notices_renewal_days")
    op.drop_column("campaigns", "notices_monthly_yearly")


def _replace_kinds(kinds: str) -> None:
    op.drop_constraint(op.f("ck_emails_kind_known"), TABLE)
    op.execute(f"ALTER TABLE {TABLE} ADD CONSTRAINT ck_emails_kind_known CHECK ({kinds})")

"""Let readers choose one receipt a year instead of one for each payment, and an email in January say it is ready.

Compatible with the release before, which sends each receipt. Stop its workers first: they do not know this email.
"""

import sqlalchemy as sa
from alembic import op

from migrations.sqlite import replace_in_table

revision = "0052"
down_revision = "0051"

TABLE = "emails"
OLD_KINDS = (
    "kind IN ('reminder', 'reminder_confirmation', 'receipt', 'missed', 'renewal', 'ended', 'refund', "
    "'monthly_yearly', 'paused', 'resuming', 'sign_in', 'email_change', 'email_changed', 'erasure', 'alert')"
)
NEW_KINDS = OLD_KINDS.replace("'monthly_yearly', ", "'monthly_yearly', 'yearly_receipt', ")
PRIMARY_KEY = "CONSTRAINT pk_emails"
NAME = "ck_emails_yearly_receipt_refers_to_its_own"
ADDED = f"CONSTRAINT {NAME} CHECK (kind != 'yearly_receipt' OR (supporter_id IS NOT NULL))"


def upgrade() -> None:
    op.add_column(
        "supporters", sa.Column("yearly_receipts", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    if op.get_bind().dialect.name == "sqlite":
        replace_in_table(TABLE, OLD_KINDS, NEW_KINDS)
        replace_in_table(TABLE, PRIMARY_KEY, f"{ADDED}, {PRIMARY_KEY}")
        return
    _replace_kinds(NEW_KINDS)
    op.execute(f"ALTER TABLE {TABLE} ADD {ADDED}")


def downgrade() -> None:
    op.execute("DELETE FROM emails WHERE kind = 'yearly_receipt'")
    if op.get_bind().dialect.name == "sqlite":
        replace_in_table(TABLE, f"{ADDED}, {PRIMARY_KEY}", PRIMARY_KEY)
        replace_in_table(TABLE, NEW_KINDS, OLD_KINDS)
    else:
        op.drop_constraint(op.f(NAME), TABLE)
        _replace_kinds(OLD_KINDS)
    op.drop_column("supporters", "yearly_receipts")


def _replace_kinds(kinds: str) -> None:
    op.drop_constraint(op.f("ck_emails_kind_known"), TABLE)
    op.execute(f"ALTER TABLE {TABLE} ADD CONSTRAINT ck_emails_kind_known CHECK ({kinds})")

"""Let readers ask to be erased, confirmed by a link in an email.

Compatible with the release before, which reads and writes none of this. Stop its workers first: they do not know
this email.
"""

import sqlalchemy as sa
from alembic import op

from migrations.sqlite import replace_in_table

revision = "0049"
down_revision = "0048"

TABLE = "emails"
OLD_KINDS = (
    "kind IN ('reminder', 'reminder_confirmation', 'receipt', 'missed', 'renewal', 'ended', 'refund', "
    "'monthly_yearly', 'paused', 'resuming', 'sign_in', 'email_change', 'email_changed', 'alert')"
)
NEW_KINDS = OLD_KINDS.replace("'email_changed', ", "'email_changed', 'erasure', ")
PRIMARY_KEY = "CONSTRAINT pk_emails"
FOREIGN_KEY = (
    "CONSTRAINT fk_emails_erasure_request_id FOREIGN KEY (erasure_request_id) REFERENCES erasure_requests (id)"
    " ON DELETE CASCADE"
)
ADDED = (
    "CONSTRAINT ck_emails_erasure_refers_to_its_own CHECK (kind != 'erasure' OR (erasure_request_id IS NOT NULL))",
    FOREIGN_KEY,
)
WITH_ADDED = ", ".join((*ADDED, PRIMARY_KEY))
INDEX = "ix_emails_erasure_request_id"
HAS_REQUEST = sa.text("erasure_request_id IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "erasure_requests",
        sa.Column("supporter_id", sa.Uuid(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["supporter_id"], ["supporters.id"], name=op.f("fk_erasure_requests_supporter_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasure_requests")),
    )
    for column in ("supporter_id", "requested_at"):
        op.create_index(f"ix_erasure_requests_{column}", "erasure_requests", [column])
    op.add_column(TABLE, sa.Column("erasure_request_id", sa.Uuid(), nullable=True))
    if op.get_bind().dialect.name == "sqlite":
        replace_in_table(TABLE, OLD_KINDS, NEW_KINDS)
        replace_in_table(TABLE, PRIMARY_KEY, WITH_ADDED)
    else:
        _replace_kinds(NEW_KINDS)
        for constraint in ADDED:
            op.execute(f"ALTER TABLE {TABLE} ADD {constraint}")
    op.create_index(INDEX, TABLE, ["erasure_request_id"], postgresql_where=HAS_REQUEST, sqlite_where=HAS_REQUEST)


def downgrade() -> None:
    op.execute("DELETE FROM emails WHERE kind = 'erasure'")
    op.drop_index(INDEX, TABLE)
    if op.get_bind().dialect.name == "sqlite":
        replace_in_table(TABLE, WITH_ADDED, PRIMARY_KEY)
        replace_in_table(TABLE, NEW_KINDS, OLD_KINDS)
    else:
        op.drop_constraint(op.f("ck_emails_erasure_refers_to_its_own"), TABLE)
        _replace_kinds(OLD_KINDS)
    op.drop_column(TABLE, "erasure_request_id")
    op.drop_table("erasure_requests")


def _replace_kinds(kinds: str) -> None:
    op.drop_constraint(op.f("ck_emails_kind_known"), TABLE)
    op.execute(f"ALTER TABLE {TABLE} ADD CONSTRAINT ck_emails_kind_known CHECK ({kinds})")

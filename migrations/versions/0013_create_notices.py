"""How readers sign in, and the mails to whoever gives.

Compatible with the release before, which uses none of these tables.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "sign_ins",
        sa.Column("supporter_id", sa.Uuid(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("link_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("link_ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("session_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("session_ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["supporter_id"], ["supporters.id"], name=op.f("fk_sign_ins_supporter_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_ins")),
        sa.UniqueConstraint("link_hash", name=op.f("uq_sign_ins_link_hash")),
        sa.UniqueConstraint("session_hash", name=op.f("uq_sign_ins_session_hash")),
    )
    op.create_index("ix_sign_ins_asked_at", "sign_ins", ["asked_at"], unique=False)
    op.create_index("ix_sign_ins_supporter_id", "sign_ins", ["supporter_id"], unique=False)
    op.create_table(
        "notices",
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("supporter_id", sa.Uuid(), nullable=True),
        sa.Column("pledge_id", sa.Uuid(), nullable=True),
        sa.Column("payment_id", sa.Uuid(), nullable=True),
        sa.Column("sign_in_id", sa.Uuid(), nullable=True),
        sa.Column("falls_on", sa.Date(), nullable=True),
        sa.Column("lang", sa.String(length=35), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("leased_by", sa.Uuid(), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_number", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=True),
        sa.Column("reply", sa.Text(), nullable=True),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('receipt', 'missed', 'renewal', 'ended', 'sign_in')", name=op.f("ck_notices_kind_known")
        ),
        sa.CheckConstraint(
            "outcome IN ('leaving', 'accepted', 'deferred', 'rejected', 'withdrawn')",
            name=op.f("ck_notices_outcome_known"),
        ),
        sa.CheckConstraint(
            "status IN ('scheduled', 'sending', 'sent', 'skipped', 'failed')", name=op.f("ck_notices_status_known")
        ),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["payments.id"], name=op.f("fk_notices_payment_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["pledge_id"], ["pledges.id"], name=op.f("fk_notices_pledge_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["sign_in_id"], ["sign_ins.id"], name=op.f("fk_notices_sign_in_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["supporter_id"], ["supporters.id"], name=op.f("fk_notices_supporter_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
        sa.UniqueConstraint("kind", "about", name=op.f("uq_notices_kind_about")),
    )
    op.create_index(
        "ix_notices_due",
        "notices",
        ["due_at", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'scheduled'"),
        sqlite_where=sa.text("status = 'scheduled'"),
    )
    op.create_index(
        "ix_notices_leased",
        "notices",
        ["leased_until"],
        unique=False,
        postgresql_where=sa.text("status = 'sending'"),
        sqlite_where=sa.text("status = 'sending'"),
    )
    op.create_index("ix_notices_payment_id", "notices", ["payment_id"], unique=False)
    op.create_index("ix_notices_pledge_id", "notices", ["pledge_id"], unique=False)
    op.create_index("ix_notices_sign_in_id", "notices", ["sign_in_id"], unique=False)
    op.create_index("ix_notices_supporter_id", "notices", ["supporter_id"], unique=False)


def downgrade() -> None:
    for table in ("notices", "sign_ins"):
        op.drop_table(table)

"""Remember the proofs of email webhooks that are not bound to their report, so that none counts for another one.

Compatible with the release before, which reads and writes none of this.
"""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    op.create_table(
        "used_webhook_proofs",
        sa.Column("proof_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("report_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("proof_hash", name=op.f("pk_used_webhook_proofs")),
    )
    op.create_index("ix_used_webhook_proofs_expires_at", "used_webhook_proofs", ["expires_at"], unique=False)


def downgrade() -> None:
    op.drop_table("used_webhook_proofs")

"""What the workers learned from a mail server: whether it takes addresses that are not ASCII (SMTPUTF8).

Compatible with the release before, which does not use the table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "mail_server_capabilities",
        sa.Column("server", sa.String(length=300), nullable=False),
        sa.Column("supports_smtputf8", sa.Boolean(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("server", name=op.f("pk_mail_server_capabilities")),
    )


def downgrade() -> None:
    op.drop_table("mail_server_capabilities")

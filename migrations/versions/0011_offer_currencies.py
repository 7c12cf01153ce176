"""Choices in several currencies, what the gateway keeps of a payment, and what receipts bear.

The release before goes on reading campaigns and taking pledges: until this one is told of another currency, each
campaign has choices in one. It cannot store a changed campaign any more; the refusal loses nothing.
"""

import sqlalchemy as sa
from alembic import op

from migrations.sqlite import replace_in_table

revision = "0011"
down_revision = "0010"

BEFORE = "(campaign_id, frequency)"
AFTER = "(campaign_id, currency, frequency)"


def upgrade() -> None:
    op.add_column("campaigns", sa.Column("cover_fees", sa.JSON(), server_default="{}", nullable=False))
    op.add_column("campaigns", sa.Column("legal_name", sa.Text(), nullable=True))
    op.add_column("campaigns", sa.Column("tax_line", sa.Text(), nullable=True))
    op.add_column("support_choices", sa.Column("currency", sa.String(length=3), server_default="", nullable=False))
    op.execute(
        "UPDATE support_choices SET currency = "
        "(SELECT currency FROM campaigns WHERE campaigns.id = support_choices.campaign_id)"
    )
    if op.get_bind().dialect.name == "sqlite":
        replace_in_table("support_choices", "DEFAULT '' NOT NULL", "NOT NULL")
        replace_in_table("support_choices", f"PRIMARY KEY {BEFORE}", f"PRIMARY KEY {AFTER}")
    else:
        op.alter_column("support_choices", "currency", server_default=None)
        _change_key(AFTER)


def downgrade() -> None:
    op.execute(
        "DELETE FROM support_choices WHERE currency <> "
        "(SELECT currency FROM campaigns WHERE campaigns.id = support_choices.campaign_id)"
    )
    if op.get_bind().dialect.name == "sqlite":
        replace_in_table("support_choices", f"PRIMARY KEY {AFTER}", f"PRIMARY KEY {BEFORE}")
    else:
        _change_key(BEFORE)
    op.drop_column("support_choices", "currency")
    for name in ("tax_line", "legal_name", "cover_fees"):
        op.drop_column("campaigns", name)


def _change_key(columns: str) -> None:
    op.execute("ALTER TABLE support_choices DROP CONSTRAINT pk_support_choices")
    op.execute(f"ALTER TABLE support_choices ADD CONSTRAINT pk_support_choices PRIMARY KEY {columns}")

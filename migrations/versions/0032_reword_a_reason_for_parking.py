"""Reword a stored reason for parking an event, by which the reconciliation finds what it can resolve.

The release before writes the former words until it is replaced; both are looked for.
"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"

BEFORE = "Its payment is not in the books."
AFTER = "Its payment is not recorded here."


def upgrade() -> None:
    _replace(BEFORE, AFTER)


def downgrade() -> None:
    _replace(AFTER, BEFORE)


def _replace(old: str, new: str) -> None:
    update = sa.text("UPDATE gateway_events SET reason = :new WHERE reason = :old")
    op.get_bind().execute(update, {"old": old, "new": new})

"""Let readers switch between monthly and annual: the request before the gateway has it, and what was paid before.

Compatible with the release before, which leaves both empty. Stop its workers first: they would take the amount of
a switch that is under way for one of the present frequency, $60 a year for $60 a month.
"""

from alembic import op

revision = "0050"
down_revision = "0049"


COLUMNS = (("pledges", "pending_frequency"), ("payments", "frequency"))


def upgrade() -> None:
    # As statements, because Alembic adds no column with a CHECK of its own.
    for table, column in COLUMNS:
        op.execute(
            f"ALTER TABLE {table} ADD COLUMN {column} VARCHAR(32) CONSTRAINT ck_{table}_{column}_known "
            f"CHECK ({column} IN ('once', 'monthly', 'annual'))"
        )


def downgrade() -> None:
    op.execute("UPDATE pledges SET pending_amount_minor = NULL WHERE pending_frequency IS NOT NULL")
    for table, column in reversed(COLUMNS):
        op.drop_column(table, column)

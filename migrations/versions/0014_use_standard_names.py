"""Standard names for tables, columns and stored values.

Not compatible with the release before: stop it first. Tables are locked while this runs.
"""

from collections.abc import Iterable

import sqlalchemy as sa
from alembic import op

from migrations.sqlite import replace_in_table

revision = "0014"
down_revision = "0013"

TABLES = (
    ("support_choices", "pledge_options"),
    ("pledge_moves", "pledge_status_changes"),
    ("reminder_moves", "reminder_status_changes"),
    ("balance_entries", "balance_transactions"),
    ("mail_pace", "email_send_rate"),
    ("mail_tallies", "email_counters"),
    ("notices", "notifications"),
    ("outbox_mails", "dev_outbox"),
)
# The table is called by its new name.
COLUMNS = (
    ("deliveries", "reply", "smtp_reply"),
    ("deliveries", "began_at", "started_at"),
    ("deliveries", "ended_at", "finished_at"),
    ("gateway_events", "retry_at", "next_attempt_at"),
    ("heartbeats", "process", "worker_id"),
    ("idempotency_keys", "held_until", "locked_until"),
    ("email_send_rate", "free_from", "next_slot_at"),
    ("notifications", "about", "dedup_key"),
    ("notifications", "falls_on", "event_date"),
    ("notifications", "reply", "smtp_reply"),
    ("notifications", "began_at", "started_at"),
    ("notifications", "ended_at", "finished_at"),
    ("pledges", "wanted_minor", "pending_amount_minor"),
    ("pledges", "stood_at", "subscription_status_at"),
    ("sign_ins", "link_ends_at", "link_expires_at"),
    ("sign_ins", "session_ends_at", "session_expires_at"),
)
DELIVERY_OUTCOMES = (
    ("leaving", "sending"),
    ("accepted", "accepted"),
    ("deferred", "deferred"),
    ("rejected", "rejected"),
    ("withdrawn", "not_attempted"),
)
# The column is `outcome` in each table.
OUTCOMES = (
    ("deliveries", DELIVERY_OUTCOMES),
    ("notifications", DELIVERY_OUTCOMES),
    (
        "job_runs",
        (("running", "running"), ("done", "succeeded"), ("failed", "failed"), ("vanished", "crashed")),
    ),
)
# The classes of the errors that end a run, by which `/readyz` recognises a server that rejects us.
JOB_ERRORS = (("MailServerAway", "ServerUnavailable"), ("MailServerRefusesUs", "ServerMisconfigured"))


def upgrade() -> None:
    for old, new in TABLES:
        _rename_table(old, new)
    for table, old, new in COLUMNS:
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")
    _rename_constraint("notifications", "uq_notifications_kind_about", "uq_notifications_kind_dedup_key")
    for table, outcomes in OUTCOMES:
        _replace_outcomes(table, outcomes)
    for old, new in JOB_ERRORS:
        op.execute(f"UPDATE job_runs SET error = '{new}' WHERE error = '{old}'")  # nosec B608  # noqa: S608 - constants


def downgrade() -> None:
    for old, new in JOB_ERRORS:
        op.execute(f"UPDATE job_runs SET error = '{old}' WHERE error = '{new}'")  # nosec B608  # noqa: S608 - constants
    for table, outcomes in OUTCOMES:
        _replace_outcomes(table, [(old, new) for new, old in outcomes])
    _rename_constraint("notifications", "uq_notifications_kind_dedup_key", "uq_notifications_kind_about")
    for table, old, new in COLUMNS:
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {new} TO {old}")
    for old, new in TABLES:
        _rename_table(new, old)


def _rename_table(old: str, new: str) -> None:
    """Rename a table, and its indexes and constraints, whose names contain its name."""
    op.rename_table(old, new)
    if op.get_bind().dialect.name == "sqlite":
        _rename_sqlite_indexes(old, new)
        replace_in_table(new, f"_{old}", f"_{new}")
        return
    inspector = sa.inspect(op.get_bind())
    constraints = (
        inspector.get_pk_constraint(new),
        *inspector.get_unique_constraints(new),
        *inspector.get_foreign_keys(new),
        *inspector.get_check_constraints(new),
    )
    for name in (constraint["name"] for constraint in constraints):
        _rename_constraint(new, name, name.replace(f"_{old}", f"_{new}"))
    for index in inspector.get_indexes(new):
        # Renaming a unique constraint renames the index that enforces it.
        if "duplicates_constraint" not in index:
            op.execute(f"ALTER INDEX {index['name']} RENAME TO {index['name'].replace(f'_{old}', f'_{new}')}")


def _rename_sqlite_indexes(old: str, new: str) -> None:
    rows = op.get_bind().execute(
        sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = :table AND sql NOT NULL"),
        {"table": new},
    )
    for name, sql in rows.all():
        op.execute(f"DROP INDEX {name}")
        # SQLite puts the new name of the table in quotes.
        op.execute(sql.replace(f"_{old}", f"_{new}").replace(f'"{new}"', new))


def _rename_constraint(table: str, old: str, new: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        replace_in_table(table, f"CONSTRAINT {old} ", f"CONSTRAINT {new} ")
    else:
        op.execute(f"ALTER TABLE {table} RENAME CONSTRAINT {old} TO {new}")


def _replace_outcomes(table: str, outcomes: Iterable[tuple[str, str]]) -> None:
    """Store the second value of each pair in place of the first, and let the CHECK allow only those."""
    old, new = ([repr(value) for value in values] for values in zip(*outcomes, strict=True))
    both = dict.fromkeys(old + new)
    _replace_check(table, old, both)
    for before, after in zip(old, new, strict=True):
        if before != after:
            op.execute(f"UPDATE {table} SET outcome = {after} WHERE outcome = {before}")  # nosec B608  # noqa: S608 - constants
    _replace_check(table, both, new)


def _replace_check(table: str, old: Iterable[str], new: Iterable[str]) -> None:
    before, after = (f"outcome IN ({', '.join(values)})" for values in (old, new))
    if op.get_bind().dialect.name == "sqlite":
        replace_in_table(table, before, after)
    else:
        op.drop_constraint(op.f(f"ck_{table}_outcome_known"), table)
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT ck_{table}_outcome_known CHECK ({after})")

"""Send every email from one outbox: `emails` replaces `deliveries` and `notifications`.

Nothing is lost and nothing is sent again: every notification keeps its id, and with it its Message-ID; every
delivery of a reminder becomes an email; and a reminder that was claimed, or is to be retried, has an email in the
outbox.

Stop the workers of the release before first. Its web processes cannot enqueue emails on this schema, so they
answer 500 to sign-ups, and what the payment gateway reports is processed by the new ones.
"""

import sqlalchemy as sa
from alembic import op

from migrations.sqlite import replace_in_table

revision = "0040"
down_revision = "0039"
oldest_compatible = "0040"

KINDS = (
    "reminder", "reminder_confirmation", "receipt", "missed", "renewal", "ended", "sign_in", "email_change",
    "email_changed", "alert",
)  # fmt: skip
OUTCOMES = ("sending", "accepted", "deferred", "rejected", "not_attempted")
STATUSES = ("scheduled", "sending", "sent", "cancelled", "skipped", "failed")
REQUIRED = {
    "reminder": ("reminder_id", "occurrence"),
    "reminder_confirmation": ("reminder_id", "occurrence"),
    "receipt": ("pledge_id", "payment_id"),
    "missed": ("pledge_id",),
    "renewal": ("pledge_id",),
    "ended": ("pledge_id",),
    "sign_in": ("sign_in_id",),
    "email_change": ("email_change_id",),
    "email_changed": ("email_change_id",),
    "alert": ("subject", "body"),
}
REFERENCES = {
    "supporter_id": "supporters",
    "reminder_id": "reminders",
    "pledge_id": "pledges",
    "payment_id": "payments",
    "sign_in_id": "sign_ins",
    "email_change_id": "email_changes",
}
NOTIFICATION_COLUMNS = (
    "id, kind, dedup_key, supporter_id, pledge_id, payment_id, sign_in_id, email_change_id, event_date, subject, "
    "body, lang, status, due_at, created_at, reason, leased_by, leased_until, lease_number, attempts, outcome, "
    "smtp_reply, started_at, finished_at, held_at"
)
DELIVERY_COLUMNS = "reminder_id, occurrence, lease_number, attempts, outcome, smtp_reply, started_at, finished_at"
# A record of an earlier lease does not count, unless the email was accepted.
VALID_OUTCOME = "CASE WHEN d.outcome = 'accepted' OR d.lease_number = r.lease_number THEN d.outcome END"


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        # Nothing may be enqueued between the copy and the drop.
        op.execute("LOCK TABLE notifications, reminders, deliveries IN ACCESS EXCLUSIVE MODE")
    _create_emails()
    op.execute(
        f"INSERT INTO emails (priority, {NOTIFICATION_COLUMNS}) SELECT "  # noqa: S608  # nosec B608 - constants
        "CASE WHEN kind IN ('sign_in', 'email_change') THEN 1 ELSE 2 END, "
        f"{NOTIFICATION_COLUMNS} FROM notifications"
    )
    _copy_deliveries()
    op.execute(
        "UPDATE reminders SET status = 'sending', reason = NULL WHERE status = 'scheduled' AND EXISTS (SELECT 1 "
        "FROM emails WHERE emails.reminder_id = reminders.id AND emails.occurrence = reminders.occurrence)"
    )
    op.drop_table("deliveries")
    op.drop_table("notifications")
    op.drop_index("ix_reminders_leased", table_name="reminders")
    for column in ("attempts", "lease_number", "leased_until", "leased_by", "held_at"):
        op.drop_column("reminders", column)


def downgrade() -> None:
    _create_old_tables()
    op.execute(
        f"INSERT INTO notifications ({NOTIFICATION_COLUMNS}) SELECT "  # noqa: S608  # nosec B608 - constants
        f"{NOTIFICATION_COLUMNS} FROM emails WHERE reminder_id IS NULL AND status <> 'cancelled'"
    )
    op.execute(
        f"INSERT INTO deliveries ({DELIVERY_COLUMNS}) SELECT reminder_id, occurrence, "  # noqa: S608  # nosec B608
        # An attempt of an earlier lease has no outcome, but counts.
        "CASE WHEN outcome IS NULL THEN lease_number - 1 ELSE lease_number END, attempts, "
        "COALESCE(outcome, 'deferred'), smtp_reply, started_at, finished_at FROM emails "
        "WHERE reminder_id IS NOT NULL AND started_at IS NOT NULL"
    )
    for column in ("attempts", "lease_number"):
        op.execute(
            f"UPDATE reminders SET {column} = COALESCE((SELECT {column} FROM emails WHERE "  # noqa: S608  # nosec B608
            "emails.reminder_id = reminders.id AND emails.occurrence = reminders.occurrence), 0)"
        )
    # What waited in the outbox waits as a reminder again, and what was being sent keeps its lease.
    for status, columns in (
        ("scheduled", ("due_at", "reason", "held_at")),
        ("sending", ("leased_by", "leased_until")),
    ):
        values = ", ".join(f"{column} = (SELECT {column} {{of_it}})" for column in columns)
        of_it = (
            "FROM emails WHERE emails.reminder_id = reminders.id AND emails.occurrence = reminders.occurrence "
            f"AND emails.status = '{status}'"
        )
        op.execute(
            f"UPDATE reminders SET status = '{status}', {values.format(of_it=of_it)} "  # noqa: S608  # nosec B608
            f"WHERE status = 'sending' AND EXISTS (SELECT 1 {of_it})"
        )
    op.drop_table("emails")


def _copy_deliveries() -> None:
    """Copy each delivery of a reminder, and add the emails of those that were claimed or failed without one."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    parts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    reminder = "r.id::text"
    if sqlite:
        reminder = " || '-' || ".join(f"substr(r.id, {start}, {length})" for start, length in parts)
    current = (
        f"SELECT {_new_id('COALESCE(d.started_at, r.due_at)')}, "  # noqa: S608  # nosec B608 - constants
        "CASE WHEN r.awaits_confirmation THEN 'reminder_confirmation' ELSE 'reminder' END, "
        f"{reminder} || ':' || r.occurrence, CASE WHEN r.awaits_confirmation THEN 1 ELSE 3 END, "
        "r.id, r.occurrence, r.lang, "
        # A reminder that was sent, and cancelled afterwards, has a sent email.
        "CASE WHEN r.status IN ('scheduled', 'sending', 'failed', 'skipped') THEN r.status "
        "WHEN d.outcome = 'accepted' THEN 'sent' ELSE 'cancelled' END, "
        "r.due_at, COALESCE(d.started_at, r.due_at), "
        "CASE WHEN r.status IN ('scheduled', 'failed', 'skipped') THEN r.reason END, "
        "r.leased_by, r.leased_until, r.lease_number, COALESCE(d.attempts, 0), "
        f"{VALID_OUTCOME}, d.smtp_reply, d.started_at, d.finished_at, r.held_at "
        "FROM reminders r LEFT JOIN deliveries d ON d.reminder_id = r.id AND d.occurrence = r.occurrence "
        "WHERE d.reminder_id IS NOT NULL OR r.status IN ('sending', 'failed') "
        "OR (r.held_at IS NOT NULL AND r.status = 'scheduled')"
    )
    # Earlier occurrences: whatever became of them, they are not sent again.
    earlier = (
        f"SELECT {_new_id('d.started_at')}, 'reminder', "  # noqa: S608  # nosec B608 - constants
        f"{reminder} || ':' || d.occurrence, 3, r.id, d.occurrence, r.lang, "
        "CASE WHEN d.outcome = 'accepted' THEN 'sent' ELSE 'cancelled' END, d.started_at, d.started_at, "
        "NULL, NULL, NULL, d.lease_number, d.attempts, d.outcome, d.smtp_reply, d.started_at, d.finished_at, NULL "
        "FROM deliveries d JOIN reminders r ON r.id = d.reminder_id WHERE d.occurrence <> r.occurrence"
    )
    if not sqlite:
        # The columns that are NULL above have no type of their own.
        earlier = earlier.replace("NULL, NULL, NULL", "NULL::text, NULL::uuid, NULL::timestamptz")
        earlier = earlier.replace("finished_at, NULL", "finished_at, NULL::timestamptz")
    for query in (current, earlier):
        op.execute(
            "INSERT INTO emails (id, kind, dedup_key, priority, reminder_id, occurrence, lang, status, due_at, "
            "created_at, reason, leased_by, leased_until, lease_number, attempts, outcome, smtp_reply, "
            f"started_at, finished_at, held_at) {query}"
        )


def _new_id(created_at: str) -> str:
    """Return the SQL of a UUIDv7 (RFC 9562, section 5.7), because the latest emails are found by their ids."""
    if op.get_bind().dialect.name == "sqlite":
        random = "lower(hex(randomblob(16)))"
        milliseconds = f"printf('%012x', strftime('%s', {created_at}) * 1000)"
        return f"{milliseconds} || '7' || substr({random}, 1, 3) || '8' || substr({random}, 1, 15)"
    milliseconds = f"lpad(to_hex((extract(epoch FROM {created_at}) * 1000)::bigint), 12, '0')"
    # The digits after that of the version are random and have the variant.
    return f"({milliseconds} || '7' || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid"


def _create_emails() -> None:
    op.create_table(
        "emails",
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("dedup_key", sa.Text(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("supporter_id", sa.Uuid(), nullable=True),
        sa.Column("reminder_id", sa.Uuid(), nullable=True),
        sa.Column("occurrence", sa.Integer(), nullable=True),
        sa.Column("pledge_id", sa.Uuid(), nullable=True),
        sa.Column("payment_id", sa.Uuid(), nullable=True),
        sa.Column("sign_in_id", sa.Uuid(), nullable=True),
        sa.Column("email_change_id", sa.Uuid(), nullable=True),
        sa.Column("event_date", sa.Date(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
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
        sa.Column("smtp_reply", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        _known("kind", KINDS),
        _known("status", STATUSES),
        _known("outcome", OUTCOMES),
        *(
            sa.CheckConstraint(
                f"kind != '{kind}' OR ({' AND '.join(f'{column} IS NOT NULL' for column in columns)})",
                name=op.f(f"ck_emails_{kind}_refers_to_its_own"),
            )
            for kind, columns in REQUIRED.items()
        ),
        *(
            sa.ForeignKeyConstraint(
                [column], [f"{table}.id"], name=op.f(f"fk_emails_{column}"), ondelete="CASCADE"
            )
            for column, table in REFERENCES.items()
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_emails")),
        sa.UniqueConstraint("kind", "dedup_key", name=op.f("uq_emails_kind_dedup_key")),
    )
    _create_index("due", ["priority", "due_at", "id"], "status = 'scheduled' AND held_at IS NULL")
    _create_index("held", ["due_at", "id"], "held_at IS NOT NULL")
    _create_index("leased", ["leased_until"], "status = 'sending'")
    _create_index("failed", ["due_at"], "status = 'failed'")
    _create_index(
        "finished", ["due_at"], "reminder_id IS NULL AND status IN ('sent', 'skipped', 'failed', 'cancelled')"
    )
    op.create_index("ix_emails_reminder_id", "emails", ["reminder_id", "occurrence"], unique=True)
    for column in REFERENCES:
        if column != "reminder_id":
            _create_index(column, [column], f"{column} IS NOT NULL")


def _create_index(name: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(
        f"ix_emails_{name}", "emails", columns, unique=False, postgresql_where=condition, sqlite_where=condition
    )


def _known(column: str, values: tuple[str, ...], table: str = "emails") -> sa.CheckConstraint:
    listed = ", ".join(repr(value) for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=op.f(f"ck_{table}_{column}_known"))


def _create_old_tables() -> None:
    op.add_column("reminders", sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("reminders", sa.Column("lease_number", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("reminders", sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("reminders", sa.Column("leased_by", sa.Uuid(), nullable=True))
    op.add_column("reminders", sa.Column("held_at", sa.DateTime(timezone=True), nullable=True))
    leased = sa.text("status = 'sending'")
    op.create_index(
        "ix_reminders_leased", "reminders", ["leased_until"], postgresql_where=leased, sqlite_where=leased
    )
    op.create_table(
        "deliveries",
        sa.Column("reminder_id", sa.Uuid(), nullable=False),
        sa.Column("occurrence", sa.Integer(), nullable=False),
        sa.Column("lease_number", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("smtp_reply", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        _known("outcome", OUTCOMES, "deliveries"),
        sa.ForeignKeyConstraint(
            ["reminder_id"], ["reminders.id"], name=op.f("fk_deliveries_reminder_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("reminder_id", "occurrence", name=op.f("pk_deliveries")),
    )
    references = {column: table for column, table in REFERENCES.items() if column != "reminder_id"}
    op.create_table(
        "notifications",
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("dedup_key", sa.Text(), nullable=False),
        *(sa.Column(column, sa.Uuid(), nullable=True) for column in references),
        sa.Column("event_date", sa.Date(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
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
        sa.Column("smtp_reply", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        _known("kind", tuple(kind for kind in KINDS if not kind.startswith("reminder")), "notifications"),
        _known("status", tuple(status for status in STATUSES if status != "cancelled"), "notifications"),
        _known("outcome", OUTCOMES, "notifications"),
        *(
            sa.ForeignKeyConstraint(
                [column], [f"{table}.id"], name=op.f(f"fk_notifications_{column}"), ondelete="CASCADE"
            )
            for column, table in references.items()
            if column != "email_change_id"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
        sa.UniqueConstraint("kind", "dedup_key", name=op.f("uq_notifications_kind_dedup_key")),
    )
    # As the migration before had added it, which removes it by this text.
    foreign_key = (
        "CONSTRAINT fk_notifications_email_change_id FOREIGN KEY (email_change_id) REFERENCES email_changes (id) "
        "ON DELETE CASCADE"
    )
    if op.get_bind().dialect.name == "sqlite":
        primary_key = "CONSTRAINT pk_notifications"
        replace_in_table("notifications", primary_key, f"{foreign_key}, {primary_key}")
    else:
        op.execute(f"ALTER TABLE notifications ADD {foreign_key}")
    due = sa.text("status = 'scheduled'")
    op.create_index(
        "ix_notifications_due", "notifications", ["due_at", "id"], postgresql_where=due, sqlite_where=due
    )
    op.create_index(
        "ix_notifications_leased", "notifications", ["leased_until"], postgresql_where=leased, sqlite_where=leased
    )
    for column in references:
        op.create_index(f"ix_notifications_{column}", "notifications", [column])

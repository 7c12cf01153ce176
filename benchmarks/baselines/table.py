"""The only table of the baseline application."""

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

# The columns and indexes of a new reminder, with a plain-text address instead of the supporter's id.
minimal_reminders = Table(
    "baseline_reminders",
    MetaData(),
    Column("id", Uuid, primary_key=True),
    Column("campaign", String(64), nullable=False),
    Column("email", Text, nullable=False),
    Column("status", String(32), nullable=False),
    Column("occurrence", Integer, nullable=False),
    Column("months", Integer, nullable=False),
    Column("due_on", Date, nullable=False),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("timezone", String(64), nullable=False),
    Column("frequency", String(32)),
    Column("amount_minor", BigInteger),
    Column("page_url", Text),
    Column("lang", String(35), nullable=False),
    Column("consent_version", Text),
    Column("asked_at", DateTime(timezone=True), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("lease_number", Integer, nullable=False),
    UniqueConstraint("campaign", "email"),
    Index("ix_baseline_reminders_due", "due_at", "id", postgresql_where=text("status = 'scheduled'")),
)

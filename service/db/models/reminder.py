"""Reminders and the history of their status."""

import datetime
import uuid

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from schemas.enums import Frequency, ReminderStatus
from service.db.base import Base, UUIDPrimaryKey, new_id
from service.db.models.campaign import Campaign
from service.db.models.supporter import Supporter
from service.db.types import StringEnum, enum_check, equals_literal

# No job leaves these statuses; only a supporter or staff can schedule such a reminder again.
FINAL_STATUSES = (ReminderStatus.SENT, ReminderStatus.CANCELLED, ReminderStatus.SKIPPED, ReminderStatus.FAILED)


class Reminder(UUIDPrimaryKey, Base):
    """A supporter's request to be asked later: one row for each campaign and supporter, reused by later requests.

    `due_at` is when the email may be sent, while `due_on` is the promised date. While the reminder is `sending`,
    the email of its `occurrence` is in the outbox (`emails`). With `every_months` the reminder repeats at that
    interval, counted from `asked_at`. While it `awaits_confirmation`, only the email that asks for the
    confirmation is sent.
    """

    __tablename__ = "reminders"
    __table_args__ = (
        UniqueConstraint("supporter_id", "campaign_id"),
        enum_check("status", ReminderStatus, name="status_known"),
        enum_check("frequency", Frequency, name="frequency_known"),
        CheckConstraint("months BETWEEN 1 AND 24", name="months_in_range"),
        CheckConstraint("amount_minor IS NULL OR amount_minor > 0", name="amount_positive"),
        Index(
            "ix_reminders_due",
            "due_at",
            "id",
            postgresql_where=text("status = 'scheduled'"),
            sqlite_where=text("status = 'scheduled'"),
        ),
        Index(
            "ix_reminders_awaiting",
            "asked_at",
            postgresql_where=text("awaits_confirmation"),
            sqlite_where=text("awaits_confirmation"),
        ),
        # It holds final statuses only, so that creating a reminder does not update it.
        Index(
            "ix_reminders_finished",
            "due_at",
            postgresql_where=text("status IN ('sent', 'cancelled', 'skipped', 'failed')"),
            sqlite_where=text("status IN ('sent', 'cancelled', 'skipped', 'failed')"),
        ),
    )

    campaign_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("campaigns.id"))
    supporter_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("supporters.id", ondelete="CASCADE"))
    status: Mapped[ReminderStatus] = mapped_column(StringEnum(ReminderStatus))
    occurrence: Mapped[int] = mapped_column(default=1)
    months: Mapped[int]
    due_on: Mapped[datetime.date]
    due_at: Mapped[datetime.datetime]
    timezone: Mapped[str] = mapped_column(String(64))
    frequency: Mapped[Frequency | None] = mapped_column(StringEnum(Frequency))
    amount_minor: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    page_url: Mapped[str | None] = mapped_column(Text)
    page_title: Mapped[str | None] = mapped_column(Text)
    lang: Mapped[str] = mapped_column(String(35))
    consent_version: Mapped[str | None] = mapped_column(Text)
    asked_at: Mapped[datetime.datetime]
    sent_at: Mapped[datetime.datetime | None]
    every_months: Mapped[int | None]
    awaits_confirmation: Mapped[bool] = mapped_column(default=False, server_default=false())
    confirmed_at: Mapped[datetime.datetime | None]
    reason: Mapped[str | None] = mapped_column(Text)

    campaign: Mapped[Campaign] = relationship()
    supporter: Mapped[Supporter] = relationship()


def status_is(status: ReminderStatus) -> ColumnElement[bool]:
    """Return the condition that a reminder has this status, in a form that uses the partial indexes."""
    return equals_literal(Reminder.status, status)


class ReminderStatusChange(Base):
    """One change of a reminder's status. Rows are only ever added; they are looked up by reminder."""

    __tablename__ = "reminder_status_changes"

    reminder_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("reminders.id", ondelete="CASCADE"), primary_key=True
    )
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    occurrence: Mapped[int]
    event: Mapped[str] = mapped_column(String(32))
    from_status: Mapped[ReminderStatus | None] = mapped_column(StringEnum(ReminderStatus))
    to_status: Mapped[ReminderStatus] = mapped_column(StringEnum(ReminderStatus))
    reason: Mapped[str | None] = mapped_column(Text)
    at: Mapped[datetime.datetime]

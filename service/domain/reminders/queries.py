"""The list of reminders for staff."""

import datetime
from dataclasses import dataclass

from sqlalchemy import and_, case, func, select
from sqlalchemy.orm import Session

from schemas.enums import ReminderStatus
from service.db.models.campaign import Campaign
from service.db.models.email import OutgoingEmail
from service.db.models.reminder import Reminder
from service.domain.campaigns.periods import calendars, is_in_period
from service.domain.pagination import Page, decode_cursor, encode_cursor
from service.domain.reminders.queue import email_of_occurrence


@dataclass(frozen=True, kw_only=True)
class ReminderFilter:
    """A filter of reminders. None matches everything.

    The period of `due_at` is as in `is_in_period`: days in the calendar of `tz`, or of each reminder's campaign.
    """

    status: ReminderStatus | None = None
    campaign: str | None = None
    due_from: datetime.date | None = None
    due_to: datetime.date | None = None
    tz: str | None = None


def list_reminders(session: Session, filters: ReminderFilter, *, limit: int, cursor: str | None) -> Page:
    """Return a page of up to `limit` reminders, newest first, without their readers' addresses.

    Raises:
        InvalidCursor: the cursor was not issued by this service.
    """
    is_open = and_(Reminder.status == ReminderStatus.SENDING, OutgoingEmail.id.is_not(None))
    # While an email is in the outbox, its row says when it is tried, how often it was, and why not now.
    due_at = case((is_open, OutgoingEmail.due_at), else_=Reminder.due_at)
    query = (
        select(
            Reminder.id,
            Campaign.slug.label("campaign"),
            Reminder.status,
            Reminder.occurrence,
            Reminder.every_months.is_not(None).label("repeat"),
            Reminder.every_months,
            Reminder.awaits_confirmation,
            Reminder.due_on,
            due_at.label("due_at"),
            Reminder.asked_at,
            Reminder.sent_at,
            func.coalesce(OutgoingEmail.attempts, 0).label("attempts"),
            case((is_open, OutgoingEmail.reason), else_=Reminder.reason).label("reason"),
        )
        .outerjoin(OutgoingEmail, email_of_occurrence())
        # An outer join, because staff must also see reminders whose campaign was deleted past the constraint.
        .outerjoin(Campaign, Campaign.id == Reminder.campaign_id)
        .order_by(Reminder.id.desc())
        .limit(limit + 1)
    )
    if filters.status is not None:
        query = query.where(Reminder.status == filters.status)
    if filters.campaign is not None:
        query = query.where(Campaign.slug == filters.campaign)
    if filters.due_from is not None or filters.due_to is not None:
        days = calendars(session, filters.tz)
        query = query.where(is_in_period(due_at, filters.due_from, filters.due_to, days))
    if cursor is not None:
        query = query.where(Reminder.id < decode_cursor(cursor))
    rows = list(session.execute(query))
    return Page(rows[:limit], encode_cursor(rows[limit - 1].id) if len(rows) > limit else None)

"""Reminders as staff read them, and what staff can do for one that failed."""

import datetime
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import ReminderStatus
from service.db.models.campaign import Campaign
from service.db.models.reminder import Reminder
from service.domain.pagination import Page, decode_cursor, encode_cursor


@dataclass(frozen=True, kw_only=True)
class ReminderFilter:
    """Which reminders; what is None filters nothing. `due_to` is the first instant that is too late."""

    status: ReminderStatus | None = None
    campaign: str | None = None
    due_from: datetime.datetime | None = None
    due_to: datetime.datetime | None = None


def list_reminders(session: Session, wanted: ReminderFilter, *, limit: int, cursor: str | None) -> Page:
    """Return up to `limit` reminders, the newest first, without their readers' addresses.

    Raises:
        InvalidCursor: the cursor is not one that was given out.
    """
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
            Reminder.due_at,
            Reminder.asked_at,
            Reminder.sent_at,
            Reminder.attempts,
            Reminder.reason,
        )
        # A campaign that was deleted past the constraint leaves reminders that staff must still see.
        .outerjoin(Campaign, Campaign.id == Reminder.campaign_id)
        .order_by(Reminder.id.desc())
        .limit(limit + 1)
    )
    if wanted.status is not None:
        query = query.where(Reminder.status == wanted.status)
    if wanted.campaign is not None:
        query = query.where(Campaign.slug == wanted.campaign)
    if wanted.due_from is not None:
        query = query.where(Reminder.due_at >= wanted.due_from)
    if wanted.due_to is not None:
        query = query.where(Reminder.due_at < wanted.due_to)
    if cursor is not None:
        query = query.where(Reminder.id < decode_cursor(cursor))
    rows = list(session.execute(query))
    return Page(rows[:limit], encode_cursor(rows[limit - 1].id) if len(rows) > limit else None)

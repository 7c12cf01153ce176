"""Reminders as their reader's own page has them: whoever is there has shown whose address it is."""

import datetime
import uuid
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import Frequency, ReminderStatus
from service.db.base import new_id
from service.db.models.campaign import Campaign
from service.db.models.reminder import Reminder, ReminderStatusChange
from service.db.models.supporter import Supporter
from service.db.upsert import execute_insert, insert_on_conflict_do_nothing
from service.domain.errors import RemindersNotOffered
from service.domain.reminders.asking import CREATED
from service.domain.reminders.due import first_due
from service.domain.reminders.moves import reschedule

UPCOMING_STATUSES = (ReminderStatus.SCHEDULED, ReminderStatus.SENDING, ReminderStatus.UNCONFIRMED)


def upcoming_reminders(session: Session, supporter_id: uuid.UUID) -> Sequence[Reminder]:
    """Return the reminders that are still to come, the next one first."""
    wanted = select(Reminder).where(Reminder.supporter_id == supporter_id, Reminder.status.in_(UPCOMING_STATUSES))
    return session.scalars(wanted.order_by(Reminder.due_at)).all()


def create_supporter_reminder(
    session: Session,
    campaign: Campaign,
    supporter_id: uuid.UUID,
    *,
    months: int,
    frequency: Frequency | None = None,
    amount_minor: int | None = None,
    currency: str | None = None,
    lang: str,
    now: datetime.datetime,
    month_seconds: int | None = None,
) -> datetime.date:
    """Set the one reminder of somebody whom we know, or renew it; return the date. There is nothing to confirm.

    Raises:
        RemindersNotOffered: the campaign offers none, or nobody is there any more to be reminded.
    """
    held = select(Supporter.id).where(Supporter.id == supporter_id).with_for_update(read=True, key_share=True)
    if not campaign.reminder_enabled or session.scalar(held) is None:
        raise RemindersNotOffered("This campaign offers no reminders.", field="campaign")
    due = first_due(campaign, months, campaign.timezone, now=now, month_seconds=month_seconds)
    said = {
        "months": months,
        "every_months": None,
        "due_on": due.local_date,
        "timezone": campaign.timezone,
        "frequency": frequency,
        "amount_minor": amount_minor,
        "currency": currency or campaign.currency,
        "page_url": None,
        "lang": lang,
        "consent_version": None,
        "asked_at": now,
        "confirmed_at": now,
    }
    reminder_id = new_id()
    row = {"id": reminder_id, "campaign_id": campaign.id, "supporter_id": supporter_id, **said}
    row |= {"status": ReminderStatus.SCHEDULED, "occurrence": 1, "attempts": 0, "lease_number": 0}
    row |= {"due_at": due.instant, "awaits_confirmation": False}
    if insert_on_conflict_do_nothing(session, Reminder, row, unique=("campaign_id", "supporter_id")):
        made = {"occurrence": 1, "event": CREATED, "to_status": ReminderStatus.SCHEDULED, "at": now}
        execute_insert(session, ReminderStatusChange, {"id": new_id(), "reminder_id": reminder_id, **made})
    else:
        theirs = select(Reminder).where(Reminder.campaign_id == campaign.id, Reminder.supporter_id == supporter_id)
        standing = session.scalars(theirs.with_for_update()).one()
        for name, value in said.items():
            setattr(standing, name, value)
        reschedule(session, standing, due, now=now)
    return due.local_date

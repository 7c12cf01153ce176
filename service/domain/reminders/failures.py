"""What staff can do for reminders that failed: see why, and send them back once the cause is mended."""

import datetime
import uuid
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from schemas.enums import ReminderStatus
from service.db.models.campaign import Campaign
from service.db.models.email import EmailDelivery
from service.db.models.reminder import Reminder, status_is
from service.domain.errors import ReminderNotFound
from service.domain.reminders.status import ReminderEvent
from service.domain.reminders.transitions import transition_reminder

BATCH_SIZE = 200


@dataclass(frozen=True)
class ReminderFailure:
    """How many reminders of a campaign failed for one reason; the campaign is None if it was deleted."""

    campaign: str | None
    reason: str
    count: int


@dataclass(frozen=True, kw_only=True)
class ReminderFailureFilter:
    """Which failed reminders: of one campaign, for reasons that begin so, due before; None filters nothing."""

    campaign: str | None = None
    reason: str | None = None
    due_before: datetime.datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return what the query must ask for."""
        asked = [status_is(ReminderStatus.FAILED)]
        if self.campaign is not None:
            asked.append(Campaign.slug == self.campaign)
        if self.reason is not None:
            asked.append(Reminder.reason.startswith(self.reason, autoescape=True))
        if self.due_before is not None:
            asked.append(Reminder.due_at < self.due_before)
        return asked


def list_failures(session: Session, wanted: ReminderFailureFilter) -> list[ReminderFailure]:
    """Return how many failed for which reason, the most first."""
    number = func.count()
    rows = session.execute(
        select(Campaign.slug, func.coalesce(Reminder.reason, ""), number)
        .select_from(Reminder)
        .outerjoin(Campaign, Campaign.id == Reminder.campaign_id)
        .where(*wanted.conditions())
        .group_by(Campaign.slug, Reminder.reason)
        .order_by(number.desc(), Campaign.slug, Reminder.reason)
    )
    return [ReminderFailure(slug, reason, count) for slug, reason, count in rows]


def retry_reminder(session: Session, reminder_id: uuid.UUID, *, now: datetime.datetime) -> Reminder:
    """Send a failed reminder back into the queue, due at once, with all its attempts before it.

    Raises:
        ReminderNotFound: there is none with this id.
        InvalidTransition: it has not failed.
    """
    reminder = session.get(Reminder, reminder_id, with_for_update=True)
    if reminder is None:
        raise ReminderNotFound("There is no reminder with this id.")
    _requeue(session, reminder, now=now)
    return reminder


def retry_failures(
    session: Session, wanted: ReminderFailureFilter, *, now: datetime.datetime, limit: int = BATCH_SIZE
) -> int:
    """Send some failed reminders back, the oldest first, passing over what somebody holds; return how many."""
    failed = session.scalars(
        select(Reminder)
        .outerjoin(Campaign, Campaign.id == Reminder.campaign_id)
        .where(*wanted.conditions())
        .order_by(Reminder.due_at)
        .limit(limit)
        .with_for_update(of=Reminder, skip_locked=True)
    ).all()
    for reminder in failed:
        _requeue(session, reminder, now=now)
    return len(failed)


def _requeue(session: Session, reminder: Reminder, *, now: datetime.datetime) -> None:
    transition_reminder(session, reminder, ReminderEvent.REQUEUE, now=now)
    reminder.attempts, reminder.due_at = 0, now
    tried = session.get(EmailDelivery, (reminder.id, reminder.occurrence))
    if tried is not None:
        # It is the same mail, under the same Message-ID, but the tries that it used up are given back to it.
        tried.attempts = 0

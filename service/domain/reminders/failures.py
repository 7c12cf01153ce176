"""Failed reminders: staff list them by reason and retry them once the cause is fixed."""

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
    """The number of a campaign's reminders that failed for one reason; `campaign` is None if it was deleted."""

    campaign: str | None
    reason: str
    count: int


@dataclass(frozen=True, kw_only=True)
class ReminderFailureFilter:
    """A filter by campaign slug, prefix of the reason and due date (exclusive). None matches everything."""

    campaign: str | None = None
    reason: str | None = None
    due_before: datetime.datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the conditions of the query."""
        conditions = [status_is(ReminderStatus.FAILED)]
        if self.campaign is not None:
            conditions.append(Campaign.slug == self.campaign)
        if self.reason is not None:
            conditions.append(Reminder.reason.startswith(self.reason, autoescape=True))
        if self.due_before is not None:
            conditions.append(Reminder.due_at < self.due_before)
        return conditions


def list_failures(session: Session, filters: ReminderFailureFilter) -> list[ReminderFailure]:
    """Return the counts by campaign and reason, largest first."""
    count = func.count()
    rows = session.execute(
        select(Campaign.slug, func.coalesce(Reminder.reason, ""), count)
        .select_from(Reminder)
        .outerjoin(Campaign, Campaign.id == Reminder.campaign_id)
        .where(*filters.conditions())
        .group_by(Campaign.slug, Reminder.reason)
        .order_by(count.desc(), Campaign.slug, Reminder.reason)
    )
    return [ReminderFailure(slug, reason, number) for slug, reason, number in rows]


def retry_reminder(session: Session, reminder_id: uuid.UUID, *, now: datetime.datetime) -> Reminder:
    """Requeue a failed reminder, due now and with all its attempts left.

    Raises:
        ReminderNotFound: no reminder has this id.
        InvalidTransition: it has not failed.
    """
    reminder = session.get(Reminder, reminder_id, with_for_update=True)
    if reminder is None:
        raise ReminderNotFound("There is no reminder with this id.")
    _requeue(session, reminder, now=now)
    return reminder


def retry_failures(
    session: Session, filters: ReminderFailureFilter, *, now: datetime.datetime, limit: int = BATCH_SIZE
) -> int:
    """Requeue up to `limit` failed reminders, oldest first, without those that are locked; return how many."""
    failed = session.scalars(
        select(Reminder)
        .outerjoin(Campaign, Campaign.id == Reminder.campaign_id)
        .where(*filters.conditions())
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
    delivery = session.get(EmailDelivery, (reminder.id, reminder.occurrence))
    if delivery is not None:
        # The email and its Message-ID stay the same; only the attempts start again.
        delivery.attempts = 0

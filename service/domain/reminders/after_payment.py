"""Reminders that their reader needs no more, because they have paid."""

import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import ReminderStatus
from service.db.models.pledge import Pledge
from service.db.models.reminder import Reminder, status_is
from service.domain.pledges.renewals import SANDBOX_GATEWAY
from service.domain.pledges.subscriptions import is_recurring_active
from service.domain.reminders.emails import ALREADY_PLEDGED
from service.domain.reminders.status import ReminderEvent
from service.domain.reminders.transitions import transition_reminder


def skip_waiting_reminders(
    session: Session, pledge: Pledge, *, paid_at: datetime.datetime, now: datetime.datetime
) -> None:
    """Skip the reminders that a supporter asked for before they paid.

    One that repeats goes on, and its next email is skipped when it is due. If the pledge recurs, those of its
    campaign end too: who gives every month or year is not asked to give. A payment in the sandbox skips none now,
    because the reminder may be due when real money is taken.
    """
    if pledge.gateway == SANDBOX_GATEWAY:
        return
    waiting = session.scalars(
        select(Reminder)
        .where(
            Reminder.supporter_id == pledge.supporter_id,
            status_is(ReminderStatus.SCHEDULED),
            Reminder.awaits_confirmation.is_(False),
            Reminder.asked_at <= paid_at,
        )
        # One that a job has locked is skipped when its email is built.
        .with_for_update(skip_locked=True)
    ).all()
    for reminder in waiting:
        is_supported = is_recurring_active(pledge) and reminder.campaign_id == pledge.campaign_id
        if reminder.every_months is None or is_supported:
            reminder.every_months = None
            transition_reminder(session, reminder, ReminderEvent.SKIP, now=now, reason=ALREADY_PLEDGED)

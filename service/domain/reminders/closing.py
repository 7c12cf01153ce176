"""Closing a campaign, so that it takes no support, and reopening it. Staff decide on the reminders that wait.

A closed campaign keeps its reminders, and sends none. Recurring pledges go on.
"""

import datetime
import uuid
from dataclasses import dataclass

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import Session

from schemas.enums import EmailStatus, ReminderStatus, WaitingPolicy
from service.db.models.campaign import Campaign
from service.db.models.email import OutgoingEmail
from service.db.models.email import status_is as email_status_is
from service.db.models.reminder import Reminder, status_is
from service.domain.campaigns.definitions import get_campaign
from service.domain.email.outbox import cancel_reminder_emails
from service.domain.email.queue import make_postponed_emails_due
from service.domain.errors import RemindersWaiting
from service.domain.pledges.queries import count_running_pledges
from service.domain.ports import TransactionFactory
from service.domain.reminders.queue import email_of_occurrence
from service.domain.reminders.status import ReminderEvent
from service.domain.reminders.transitions import bulk_transition, schedule_next_occurrence
from service.domain.reminders.waiting import CAMPAIGN_CLOSED, cancel_waiting_reminders, count_waiting

BATCH_SIZE = 1000
LATE_STATUSES = (ReminderStatus.SCHEDULED, ReminderStatus.SENDING)


@dataclass(frozen=True, kw_only=True)
class ClosedCampaign:
    """What closing a campaign leaves: recurring pledges that go on, and reminders that wait or were cancelled."""

    running: int
    waiting: int
    cancelled: int


def close_campaign(
    transaction: TransactionFactory, slug: str, policy: WaitingPolicy | None, *, now: datetime.datetime
) -> ClosedCampaign:
    """Close the campaign, or one that is closed already; then cancel its reminders if `policy` says so.

    Raises:
        CampaignNotFound: no campaign has this slug.
        RemindersWaiting: reminders wait, and `policy` is None. Nothing is changed.
    """
    with transaction() as session:
        campaign = get_campaign(session, slug, for_update=True)
        waiting = count_waiting(session, campaign)
        if waiting and policy is None and campaign.closed_at is None:
            raise RemindersWaiting(f"{waiting} reminders wait.", field="waiting", count=waiting)
        if campaign.closed_at is None:
            campaign.closed_at = campaign.updated_at = now
        running = count_running_pledges(session, campaign)
    cancelled = 0
    while policy == WaitingPolicy.CANCEL:
        with transaction() as session:
            batch = cancel_waiting_reminders(session, slug, now=now, reason=CAMPAIGN_CLOSED, limit=BATCH_SIZE)
        cancelled += batch
        if not batch:
            break
    return ClosedCampaign(running=running, waiting=waiting - cancelled, cancelled=cancelled)


def reopen_campaign(
    transaction: TransactionFactory, slug: str, *, send_late: bool | None, now: datetime.datetime
) -> int:
    """Reopen the campaign; return how many reminders came due while it was closed.

    With `send_late` they are sent now. Otherwise they are skipped, and those that repeat come on their next date.

    Raises:
        CampaignNotFound: no campaign has this slug.
        RemindersWaiting: reminders came due, and `send_late` is None. Nothing is changed.
    """
    with transaction() as session:
        campaign = get_campaign(session, slug, for_update=True)
        late = session.scalar(select(func.count()).select_from(_late_reminders(campaign, now).subquery())) or 0
        if late and send_late is None:
            raise RemindersWaiting(f"{late} reminders came due.", field="late", count=late)
    while late and not send_late:
        with transaction() as session:
            if not _skip_late_reminders(session, campaign, now=now):
                break
    with transaction() as session:
        campaign = get_campaign(session, slug, for_update=True)
        if campaign.closed_at is not None:
            campaign.closed_at, campaign.updated_at = None, now
    has_more = True
    while has_more:
        with transaction() as session:
            has_more = make_postponed_emails_due(session, campaign, now=now, limit=BATCH_SIZE) > 0
    return late


def _skip_late_reminders(session: Session, campaign: Campaign, *, now: datetime.datetime) -> int:
    query = _late_reminders(campaign, now).order_by(Reminder.id).limit(BATCH_SIZE)
    ids = session.scalars(query.with_for_update(of=Reminder)).all()
    reminders = session.scalars(select(Reminder).where(Reminder.id.in_(ids)).order_by(Reminder.id)).all()
    cancel_reminder_emails(session, ids)
    for status in LATE_STATUSES:
        bulk_transition(
            session,
            ReminderEvent.SKIP,
            [(reminder.id, reminder.occurrence) for reminder in reminders if reminder.status == status],
            from_status=status,
            now=now,
            reason=CAMPAIGN_CLOSED,
        )
    for reminder in reminders:
        reminder.status, reminder.reason = ReminderStatus.SKIPPED, CAMPAIGN_CLOSED
        schedule_next_occurrence(session, reminder, now=now)
    return len(reminders)


def _late_reminders(campaign: Campaign, now: datetime.datetime) -> Select[uuid.UUID]:
    """Return the query of the ids of reminders that are due, and of those whose email waits in the outbox.

    An email that a worker was sending when the campaign was closed is not among them.
    """
    is_due = and_(status_is(ReminderStatus.SCHEDULED), Reminder.due_at <= now)
    is_enqueued = and_(status_is(ReminderStatus.SENDING), email_status_is(EmailStatus.SCHEDULED))
    return (
        select(Reminder.id)
        .outerjoin(OutgoingEmail, email_of_occurrence())
        .where(Reminder.campaign_id == campaign.id, or_(is_due, is_enqueued))
    )

"""Reminders that wait while their campaign stops offering them: staff decide what becomes of them."""

import datetime
from collections.abc import Callable
from contextlib import AbstractContextManager

from sqlalchemy import ColumnElement, and_, func, select, true, update
from sqlalchemy.orm import Session

from schemas.enums import WaitingPolicy
from service.db.models.campaign import Campaign
from service.db.models.reminder import Reminder
from service.domain.campaigns.definitions import CampaignDefinition
from service.domain.email.outbox import cancel_reminder_emails
from service.domain.errors import RemindersWaiting
from service.domain.reminders.reminders import UPCOMING_STATUSES
from service.domain.reminders.status import ReminderEvent
from service.domain.reminders.transitions import bulk_transition

NOT_OFFERED = "not_offered"
CAMPAIGN_CLOSED = "campaign_closed"
BATCH_SIZE = 1000


def require_waiting_policy(session: Session, definition: CampaignDefinition, policy: WaitingPolicy | None) -> None:
    """Check that staff decided on the reminders that wait and that this definition would stop offering.

    Call it before the definition is stored, in the same transaction.

    Raises:
        RemindersWaiting: there are some, and `policy` is None. The error says how many.
    """
    campaign = session.scalar(select(Campaign).where(Campaign.slug == definition.slug).with_for_update())
    if policy is not None or campaign is None or not campaign.reminder_enabled:
        return
    gone = set(campaign.reminder_repeats) - set(definition.reminder_repeats)
    if definition.reminder_enabled and not gone:
        return
    ends = Reminder.every_months.in_(gone) if definition.reminder_enabled else true()
    query = select(func.count()).select_from(Reminder).where(_waits(campaign), ends)
    if count := session.scalar(query):
        reminders = "1 reminder waits" if count == 1 else f"{count} reminders wait"
        raise RemindersWaiting(
            f"{reminders} that this campaign would not offer any more. Choose what to do with 'waiting': "
            "'keep' still sends each once, 'cancel' sends none.",
            field="waiting",
            count=count,
        )


def cancel_all_waiting_reminders(
    transaction: Callable[[], AbstractContextManager[Session]], slug: str, *, now: datetime.datetime
) -> int:
    """Cancel all waiting reminders that the stored campaign does not offer, in batches; return how many.

    It can be repeated: after a crash the next call cancels the rest.
    """
    total = 0
    while True:
        with transaction() as session:
            cancelled = cancel_waiting_reminders(session, slug, now=now)
        total += cancelled
        if cancelled == 0:
            return total


def count_waiting(session: Session, campaign: Campaign) -> int:
    """Return how many reminders of the campaign wait to be sent or confirmed."""
    return session.scalar(select(func.count()).select_from(Reminder).where(_waits(campaign))) or 0


def cancel_waiting_reminders(
    session: Session,
    slug: str,
    *,
    now: datetime.datetime,
    limit: int = BATCH_SIZE,
    reason: str = NOT_OFFERED,
) -> int:
    """Cancel a batch of the waiting reminders that the stored campaign does not offer; return how many.

    With the `reason` `CAMPAIGN_CLOSED`, those that it offers are cancelled too.

    Their readers did not unsubscribe, so no address is suppressed.
    """
    campaign = session.scalars(select(Campaign).where(Campaign.slug == slug)).one()
    if campaign.reminder_enabled and reason == NOT_OFFERED:
        ends = and_(Reminder.every_months.is_not(None), Reminder.every_months.not_in(campaign.reminder_repeats))
    else:
        ends = true()
    query = select(Reminder.id, Reminder.occurrence, Reminder.status).where(_waits(campaign), ends)
    rows = session.execute(query.order_by(Reminder.id).limit(limit).with_for_update()).all()
    for status in UPCOMING_STATUSES:
        reminders = [(row.id, row.occurrence) for row in rows if row.status == status]
        if not reminders:
            continue
        cancelled = bulk_transition(
            session, ReminderEvent.CANCEL, reminders, from_status=status, now=now, reason=reason
        )
        session.execute(
            update(Reminder)
            .where(Reminder.id.in_([reminder_id for reminder_id, _ in reminders]))
            .values(
                status=cancelled,
                reason=reason,
                every_months=None,
                confirmed_at=None,
            )
            .execution_options(synchronize_session=False)
        )
    cancel_reminder_emails(session, [row.id for row in rows])
    return len(rows)


def _waits(campaign: Campaign) -> ColumnElement[bool]:
    return and_(Reminder.campaign_id == campaign.id, Reminder.status.in_(UPCOMING_STATUSES))

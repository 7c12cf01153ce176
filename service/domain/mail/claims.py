"""Claiming what is due: each reminder is one worker's at a time, under a lease that ends unless it is renewed.

A claim raises the reminder's lease number. Whoever comes back after the lease was lost cannot record over the new
owner's result, because the number has moved on.
"""

import datetime
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from schemas.enums import ReminderStatus
from service.db.models.campaign import Campaign
from service.db.models.reminder import Reminder, status_is
from service.domain.mail.history import bulk_transition
from service.domain.mail.sending_hours import SendingHours
from service.domain.reminders.status import ReminderEvent


@dataclass(frozen=True)
class ReminderClaim:
    """The right to send one occurrence of a reminder, until its lease ends."""

    reminder_id: uuid.UUID
    occurrence: int
    lease_number: int


@dataclass(frozen=True)
class ClaimResult:
    """What was due: the claims on it, and how many reminders wait for the morning instead."""

    claims: list[ReminderClaim]
    postponed: int


def claim_due_reminders(
    session: Session,
    *,
    worker: uuid.UUID,
    now: datetime.datetime,
    limit: int,
    lease: datetime.timedelta,
    respect_sending_hours: bool,
) -> ClaimResult:
    """Claim reminders that are due, the longest due first, passing over those that another worker holds.

    With `respect_sending_hours`, one that is late and whose reader is not to be written to at this hour is moved
    to when they
    are; a question for confirmation leaves at once, since its reader has only just asked.
    """
    due = session.execute(
        select(
            Reminder.id,
            Reminder.occurrence,
            Reminder.lease_number,
            Reminder.campaign_id,
            Reminder.timezone,
            Reminder.awaits_confirmation,
        )
        .where(status_is(ReminderStatus.SCHEDULED), Reminder.due_at <= now)
        .order_by(Reminder.due_at, Reminder.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if not due:
        return ClaimResult([], 0)
    hours = _sending_hours(session) if respect_sending_hours else {}
    postponed = []
    claims = []
    for row in due:
        kept = None if row.awaits_confirmation else hours.get(row.campaign_id)
        opening = now if kept is None else kept.next_allowed(now, row.timezone)
        if opening > now:
            postponed.append({"id": row.id, "due_at": opening})
        else:
            claims.append(ReminderClaim(row.id, row.occurrence, row.lease_number + 1))
    if postponed:
        session.execute(update(Reminder), postponed)
    if claims:
        after = bulk_transition(
            session,
            ReminderEvent.CLAIM,
            [(claim.reminder_id, claim.occurrence) for claim in claims],
            before=ReminderStatus.SCHEDULED,
            now=now,
        )
        session.execute(
            update(Reminder)
            .where(Reminder.id.in_([claim.reminder_id for claim in claims]))
            .values(
                status=after,
                reason=None,
                lease_number=Reminder.lease_number + 1,
                leased_by=worker,
                leased_until=now + lease,
            )
            .execution_options(synchronize_session=False)
        )
    return ClaimResult(claims, len(postponed))


def renew_leases(
    session: Session, *, worker: uuid.UUID, now: datetime.datetime, lease: datetime.timedelta
) -> None:
    """Show that a worker is still at what it holds."""
    session.execute(
        update(Reminder)
        .where(status_is(ReminderStatus.SENDING), Reminder.leased_by == worker)
        .values(leased_until=now + lease)
        .execution_options(synchronize_session=False)
    )


def _sending_hours(session: Session) -> Mapping[uuid.UUID, SendingHours]:
    rows = session.execute(select(Campaign.id, Campaign.send_hour, Campaign.send_until))
    return {campaign_id: SendingHours(opens, closes) for campaign_id, opens, closes in rows}

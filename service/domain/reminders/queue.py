"""What waits to be sent, told without looking at more than a little of the table, however long it is."""

import datetime
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from schemas.enums import ReminderStatus
from service.db.models.campaign import Campaign
from service.db.models.reminder import Reminder, status_is
from service.domain.email.queue import SendingHours
from service.domain.reminders.status import ReminderEvent
from service.domain.reminders.transitions import bulk_transition

BACKLOG_ALERT_AFTER = datetime.timedelta(hours=1)
# Counting so many takes some ten milliseconds. How many more wait then changes nothing that anybody would do.
MAX_COUNTED = 100_000


def oldest_due_age(session: Session, *, now: datetime.datetime) -> datetime.timedelta | None:
    """Return for how long the oldest due reminder has waited; None if none is due."""
    due_at = session.scalar(select(func.min(Reminder.due_at)).where(status_is(ReminderStatus.SCHEDULED)))
    return now - due_at if due_at is not None and due_at <= now else None


def count_due(session: Session, *, now: datetime.datetime, most: int = MAX_COUNTED) -> int:
    """Return how many reminders wait to be sent at this instant, but count no further than `most`."""
    # The order makes the database walk its index of what is due; else it might look for so many rows anywhere.
    due = (
        select(Reminder.due_at)
        .where(status_is(ReminderStatus.SCHEDULED), Reminder.due_at <= now)
        .order_by(Reminder.due_at, Reminder.id)
        .limit(most)
    )
    return session.scalar(select(func.count()).select_from(due.subquery())) or 0


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

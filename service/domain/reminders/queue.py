"""Due reminders: their emails are put into the outbox, and monitoring reads how many there are and how old.

Every query uses an index of what is due, so its cost does not grow with the table.
"""

import datetime
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.orm import Session

from schemas.enums import EmailKind, EmailStatus, ReminderStatus
from service.db.arrays import insert_rows, is_one_of
from service.db.base import new_id
from service.db.models.email import OutgoingEmail
from service.db.models.email import status_is as email_status_is
from service.db.models.reminder import Reminder, status_is
from service.domain.email.failures import retry_email
from service.domain.email.outbox import PRIORITIES
from service.domain.email.queue import MAX_COUNTED, in_open_campaigns, oldest_due_age, read_sending_hours
from service.domain.errors import ReminderNotFound
from service.domain.reminders.status import ReminderEvent, next_status
from service.domain.reminders.transitions import bulk_transition

BATCH_SIZE = 500
KINDS = (EmailKind.REMINDER, EmailKind.REMINDER_CONFIRMATION)


@dataclass(frozen=True)
class EnqueueResult:
    """How many reminders were enqueued, and how many were postponed to their sending hours."""

    enqueued: int
    postponed: int


def enqueue_due_reminders(
    session: Session,
    *,
    now: datetime.datetime,
    respect_sending_hours: bool,
    limit: int = BATCH_SIZE,
    leaves_none: bool = False,
) -> EnqueueResult:
    """Put the emails of up to `limit` due reminders into the outbox, oldest first, without those that are locked.

    With `respect_sending_hours`, a reminder that is due outside its campaign's sending hours in the reader's time
    zone is postponed to their start. A confirmation request is not, because its reader has just signed up. The
    reminders of a closed campaign wait until it is reopened.

    With `leaves_none`, those of closed campaigns are enqueued too, and locks are waited for.
    """
    conditions = [] if leaves_none else in_open_campaigns(session)
    due = session.execute(
        select(
            Reminder.id,
            Reminder.occurrence,
            Reminder.campaign_id,
            Reminder.timezone,
            Reminder.awaits_confirmation,
            Reminder.lang,
            Reminder.due_at,
        )
        .where(status_is(ReminderStatus.SCHEDULED), Reminder.due_at <= now, *conditions)
        .order_by(Reminder.due_at, Reminder.id)
        .limit(limit)
        .with_for_update(skip_locked=not leaves_none)
    ).all()
    if not due:
        return EnqueueResult(0, 0)
    hours = read_sending_hours(session) if respect_sending_hours else {}
    postponed, ready = [], []
    for row in due:
        sending_hours = None if row.awaits_confirmation else hours.get(row.campaign_id)
        allowed_at = now if sending_hours is None else sending_hours.next_allowed(now, row.timezone)
        if allowed_at > now:
            postponed.append({"id": row.id, "due_at": allowed_at})
        else:
            ready.append(row)
    if postponed:
        session.execute(update(Reminder), postponed)
    if ready:
        status = bulk_transition(
            session,
            ReminderEvent.ENQUEUE,
            [(row.id, row.occurrence) for row in ready],
            from_status=ReminderStatus.SCHEDULED,
            now=now,
        )
        session.execute(
            update(Reminder)
            .where(is_one_of(session, Reminder.id, [row.id for row in ready]))
            .values(status=status, reason=None)
            .execution_options(synchronize_session=False)
        )
        _insert_emails(session, ready, now=now)
    return EnqueueResult(len(ready), len(postponed))


def retry_reminder(session: Session, reminder_id: uuid.UUID, *, now: datetime.datetime) -> Reminder:
    """Requeue the email of a failed reminder, due now and with all its attempts left.

    Raises:
        ReminderNotFound: no reminder has this id.
        InvalidTransition: it has not failed.
    """
    reminder = session.get(Reminder, reminder_id, with_for_update=True)
    if reminder is None:
        raise ReminderNotFound("There is no reminder with this id.")
    next_status(reminder.status, ReminderEvent.REQUEUE)
    email_id = session.scalar(
        select(OutgoingEmail.id).where(
            OutgoingEmail.reminder_id == reminder.id, OutgoingEmail.occurrence == reminder.occurrence
        )
    )
    if email_id is None:
        raise ReminderNotFound("The email of this reminder is not in the outbox any more.")

    def on_retried(session: Session, reminder_ids: Sequence[uuid.UUID]) -> None:
        mark_retried(session, reminder_ids, now=now)

    retry_email(session, email_id, now=now, on_retried=on_retried)
    session.refresh(reminder)
    return reminder


def mark_retried(session: Session, reminder_ids: Sequence[uuid.UUID], *, now: datetime.datetime) -> None:
    """Change failed reminders whose emails staff retry."""
    reminders = session.execute(
        select(Reminder.id, Reminder.occurrence).where(
            Reminder.id.in_(reminder_ids), status_is(ReminderStatus.FAILED)
        )
    ).all()
    status = bulk_transition(
        session,
        ReminderEvent.REQUEUE,
        [(row.id, row.occurrence) for row in reminders],
        from_status=ReminderStatus.FAILED,
        now=now,
    )
    session.execute(
        update(Reminder)
        .where(Reminder.id.in_([row.id for row in reminders]))
        .values(status=status, reason=None)
        .execution_options(synchronize_session=False)
    )


def email_of_occurrence() -> ColumnElement[bool]:
    """Return the condition that an email is that of the reminder's current occurrence."""
    return and_(OutgoingEmail.reminder_id == Reminder.id, OutgoingEmail.occurrence == Reminder.occurrence)


def oldest_due_reminder_age(session: Session, *, now: datetime.datetime) -> datetime.timedelta | None:
    """Return how long the oldest due reminder has been due, in the outbox or not; None if none is."""
    query = select(func.min(Reminder.due_at)).where(status_is(ReminderStatus.SCHEDULED))
    due_at = session.scalar(query.where(*in_open_campaigns(session)))
    ages = [None if due_at is None else now - due_at, oldest_due_age(session, now=now, kinds=KINDS)]
    return max((age for age in ages if age is not None and age >= datetime.timedelta(0)), default=None)


def count_due_reminders(session: Session, *, now: datetime.datetime, most: int = MAX_COUNTED) -> int:
    """Return how many reminders are due, in the outbox or not, counting no further than `most`."""
    # The order makes the database use its indexes of what is due; else it may scan a table for `most` rows.
    due = (
        select(Reminder.due_at)
        .where(status_is(ReminderStatus.SCHEDULED), Reminder.due_at <= now, *in_open_campaigns(session))
        .order_by(Reminder.due_at, Reminder.id)
        .limit(most)
    )
    enqueued = (
        select(OutgoingEmail.due_at)
        .outerjoin(Reminder, Reminder.id == OutgoingEmail.reminder_id)
        .where(
            email_status_is(EmailStatus.SCHEDULED),
            OutgoingEmail.due_at <= now,
            OutgoingEmail.kind.in_(KINDS),
            OutgoingEmail.held_at.is_(None),
            *in_open_campaigns(session),
        )
        .order_by(OutgoingEmail.priority, OutgoingEmail.due_at, OutgoingEmail.id)
        .limit(most)
    )
    counts = [session.scalar(select(func.count()).select_from(query.subquery())) or 0 for query in (due, enqueued)]
    return min(sum(counts), most)


def _insert_emails(session: Session, reminders: Sequence[Any], *, now: datetime.datetime) -> None:
    for kind in KINDS:
        rows = [
            (new_id(), f"{row.id}:{row.occurrence}", row.id, row.occurrence, row.lang, row.due_at)
            for row in reminders
            if row.awaits_confirmation == (kind == EmailKind.REMINDER_CONFIRMATION)
        ]
        insert_rows(
            session,
            OutgoingEmail,
            rows,
            names=("id", "dedup_key", "reminder_id", "occurrence", "lang", "due_at"),
            kind=kind,
            priority=PRIORITIES[kind],
            status=EmailStatus.SCHEDULED,
            created_at=now,
            lease_number=0,
            attempts=0,
        )

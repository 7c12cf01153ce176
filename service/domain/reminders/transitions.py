"""The changes of a reminder's status, each with a row in its history, and what else changes with them."""

import datetime
import uuid
from collections.abc import Iterable

from sqlalchemy import Row, select
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from schemas.enums import EmailStatus, ReminderStatus
from service.db.arrays import insert_rows
from service.db.base import new_id
from service.db.models.email import OutgoingEmail
from service.db.models.reminder import Reminder, ReminderStatusChange
from service.domain.calendar import DueDate
from service.domain.email.outbox import cancel_reminder_emails
from service.domain.reminders.schedule import due_on_confirmation, next_due, offered_interval
from service.domain.reminders.status import ReminderEvent, next_status

# These end an occurrence whose email may be in the outbox.
SUPERSEDING_EVENTS = (ReminderEvent.REQUEST, ReminderEvent.CONFIRM, ReminderEvent.CANCEL)
STATUSES_WITH_EMAIL = (ReminderStatus.SENDING, ReminderStatus.FAILED)
# A limit, because anyone can sign up the address of someone else.
CONFIRMATION_COOLDOWN = datetime.timedelta(hours=1)


def bulk_transition(
    session: Session,
    event: ReminderEvent,
    reminders: Iterable[tuple[uuid.UUID, int]],
    *,
    from_status: ReminderStatus,
    now: datetime.datetime,
    reason: str | None = None,
) -> ReminderStatus:
    """Add the same status change to the history of many reminders, given as (id, occurrence).

    Returns the new status, which the caller writes to the reminders themselves.

    Raises:
        InvalidTransition: the event is not allowed in `from_status`.
    """
    to_status = next_status(from_status, event)
    insert_rows(
        session,
        ReminderStatusChange,
        [(new_id(), reminder_id, occurrence) for reminder_id, occurrence in reminders],
        names=("id", "reminder_id", "occurrence"),
        event=event.value,
        from_status=from_status,
        to_status=to_status,
        reason=reason,
        at=now,
    )
    return to_status


def transition_reminder(
    session: Session,
    reminder: Reminder,
    event: ReminderEvent,
    *,
    now: datetime.datetime,
    reason: str | None = None,
) -> None:
    """Change a reminder's status, and add the change to its history.

    If a request, a confirmation or a cancel ends an occurrence, its email in the outbox is cancelled.

    Raises:
        InvalidTransition: the event is not allowed in the reminder's status.
    """
    from_status = reminder.status
    reminder.status = next_status(from_status, event)
    reminder.reason = reason
    if event in SUPERSEDING_EVENTS and from_status in STATUSES_WITH_EMAIL:
        cancel_reminder_emails(session, [reminder.id])
    session.add(
        ReminderStatusChange(
            reminder_id=reminder.id,
            occurrence=reminder.occurrence,
            event=event,
            from_status=from_status,
            to_status=reminder.status,
            reason=reason,
            at=now,
        )
    )


def reschedule(session: Session, reminder: Reminder, due: DueDate, *, now: datetime.datetime) -> None:
    """Reschedule a reminder that its reader requested again; it needs no confirmation."""
    _restart(session, reminder, due, now=now)
    reminder.awaits_confirmation = False


def imitate_renewal(session: Session, reminder: Reminder) -> None:
    """Execute the statements of a renewal for a reminder that was just created, without changing it.

    With the same work, the time of a response does not tell whether an address was known.
    """
    if reminder.awaits_confirmation:
        _last_email(session, reminder)
    flag_modified(reminder, "asked_at")


def request_confirmation(session: Session, reminder: Reminder, *, now: datetime.datetime) -> None:
    """Schedule a confirmation request for a reminder that was just requested, unless one is queued or recent."""
    last = _last_email(session, reminder)
    earliest = next_confirmation_at(
        reminder.status,
        awaits=reminder.awaits_confirmation,
        last_sent_at=None if last is None else last.started_at,
        is_being_sent=last is not None and last.status == EmailStatus.SENDING,
        now=now,
    )
    if last is not None and last.held_at is not None:
        # The request that is held may never be sent.
        earliest = now
    if earliest is not None:
        _restart(session, reminder, DueDate(reminder.due_on, earliest), now=now)
        reminder.awaits_confirmation = True


def next_confirmation_at(
    status: ReminderStatus,
    *,
    awaits: bool,
    last_sent_at: datetime.datetime | None,
    is_being_sent: bool,
    now: datetime.datetime,
) -> datetime.datetime | None:
    """Return when a confirmation request that is asked for now is sent.

    None if one is already queued or being sent, or was sent within the last hour and can still be answered. One
    that waits for a retry, which may be a day away, is replaced after that hour.
    """
    if not awaits:
        return now
    is_queued = status in (ReminderStatus.SCHEDULED, ReminderStatus.SENDING)
    if is_queued and (is_being_sent or last_sent_at is None):
        return None
    earliest = now if last_sent_at is None else max(now, last_sent_at + CONFIRMATION_COOLDOWN)
    can_be_answered = is_queued or status == ReminderStatus.UNCONFIRMED
    return None if earliest > now and can_be_answered else earliest


def confirm(
    session: Session, reminder: Reminder, *, now: datetime.datetime, month_seconds: int | None = None
) -> None:
    """Schedule a reminder that its reader confirmed, as a new occurrence.

    Raises:
        InvalidTransition: it was cancelled, or has ended otherwise.
    """
    due = due_on_confirmation(reminder, now=now, month_seconds=month_seconds)
    reminder.occurrence += 1
    transition_reminder(session, reminder, ReminderEvent.CONFIRM, now=now)
    reminder.due_on, reminder.due_at = due.local_date, due.instant
    reminder.awaits_confirmation, reminder.confirmed_at = False, now


def schedule_next_occurrence(
    session: Session, reminder: Reminder, *, now: datetime.datetime, month_seconds: int | None = None
) -> None:
    """Schedule the next occurrence of a reminder that goes on repeating; any other stays as it is.

    Raises:
        InvalidTransition: its last occurrence has not ended.
    """
    every_months = offered_interval(reminder.campaign, reminder.every_months)
    if every_months is None:
        return
    due = next_due(reminder, every_months, now=now, month_seconds=month_seconds)
    reminder.occurrence += 1
    transition_reminder(session, reminder, ReminderEvent.REPEAT, now=now)
    reminder.due_on, reminder.due_at = due.local_date, due.instant


def cancel(session: Session, reminder: Reminder, *, now: datetime.datetime) -> None:
    """Cancel a reminder and its repetition. A later request must be confirmed again.

    Raises:
        InvalidTransition: there is nothing to cancel.
    """
    transition_reminder(session, reminder, ReminderEvent.CANCEL, now=now)
    reminder.every_months = reminder.confirmed_at = None


def _last_email(
    session: Session, reminder: Reminder
) -> Row[datetime.datetime | None, EmailStatus, datetime.datetime | None] | None:
    """Return `started_at`, `status` and `held_at` of this occurrence's email; None if it is not in the outbox."""
    return session.execute(
        select(OutgoingEmail.started_at, OutgoingEmail.status, OutgoingEmail.held_at).where(
            OutgoingEmail.reminder_id == reminder.id, OutgoingEmail.occurrence == reminder.occurrence
        )
    ).first()


def _restart(session: Session, reminder: Reminder, due: DueDate, *, now: datetime.datetime) -> None:
    # A scheduled reminder is only moved; any other starts a new occurrence, because it had an email.
    if reminder.status != ReminderStatus.SCHEDULED:
        reminder.occurrence += 1
    reminder.due_on, reminder.due_at = due.local_date, due.instant
    reminder.asked_at = now
    transition_reminder(session, reminder, ReminderEvent.REQUEST, now=now)

"""Moving many reminders at once, as one table says, with the history of each."""

import datetime
import uuid
from collections.abc import Iterable

from sqlalchemy import insert
from sqlalchemy.orm import Session

from schemas.enums import ReminderStatus
from service.db.base import new_id
from service.db.models.email import EmailDelivery
from service.db.models.reminder import Reminder, ReminderStatusChange
from service.domain.calendar import DueDate
from service.domain.reminders.schedule import due_on_confirmation, next_due
from service.domain.reminders.status import ReminderEvent, next_status


def bulk_transition(
    session: Session,
    event: ReminderEvent,
    moved: Iterable[tuple[uuid.UUID, int]],
    *,
    before: ReminderStatus,
    now: datetime.datetime,
) -> ReminderStatus:
    """Write the same move into the history of reminders, given as (id, occurrence); return where they stand now.

    Raises:
        InvalidTransition: the event cannot happen to a reminder that stands there.
    """
    after = next_status(before, event)
    shared = {"event": event.value, "from_status": before, "to_status": after, "reason": None, "at": now}
    rows = [
        {"id": new_id(), "reminder_id": row_id, "occurrence": occurrence} | shared for row_id, occurrence in moved
    ]
    if rows:
        session.execute(insert(ReminderStatusChange), rows)
    return after


# Whoever signs up strangers must not fill their mailboxes with our questions.
CONFIRMATION_COOLDOWN = datetime.timedelta(hours=1)


def transition_reminder(
    session: Session,
    reminder: Reminder,
    event: ReminderEvent,
    *,
    now: datetime.datetime,
    reason: str | None = None,
) -> None:
    """Move a reminder by its table and write the move into its history.

    Raises:
        InvalidTransition: the reminder cannot do this from where it stands.
    """
    before = reminder.status
    reminder.status = next_status(before, event)
    reminder.reason = reason
    if reminder.status != ReminderStatus.SENDING:
        reminder.leased_until = reminder.leased_by = None
    session.add(
        ReminderStatusChange(
            reminder_id=reminder.id,
            occurrence=reminder.occurrence,
            event=event,
            from_status=before,
            to_status=reminder.status,
            reason=reason,
            at=now,
        )
    )


def reschedule(session: Session, reminder: Reminder, due: DueDate, *, now: datetime.datetime) -> None:
    """Set a reminder anew because its reader asked again; nothing more is to be confirmed."""
    _restart(session, reminder, due, last_delivery=_last_delivery(session, reminder), now=now)
    reminder.awaits_confirmation = False


def request_confirmation(session: Session, reminder: Reminder, *, now: datetime.datetime) -> None:
    """Have the worker ask the reader whether the reminder that was just asked for is theirs.

    A question that is still to leave is not doubled, and who was asked within the hour is not asked again.
    """
    last_delivery = _last_delivery(session, reminder)
    earliest = now
    if reminder.awaits_confirmation:
        if reminder.status == ReminderStatus.SENDING or (
            reminder.status == ReminderStatus.SCHEDULED and last_delivery is None
        ):
            return
        if last_delivery is not None:
            earliest = max(now, last_delivery.started_at + CONFIRMATION_COOLDOWN)
        if earliest > now and reminder.status in (ReminderStatus.SCHEDULED, ReminderStatus.UNCONFIRMED):
            return
    _restart(session, reminder, DueDate(reminder.due_on, earliest), last_delivery=last_delivery, now=now)
    reminder.awaits_confirmation = True


def confirm(
    session: Session, reminder: Reminder, *, now: datetime.datetime, month_seconds: int | None = None
) -> None:
    """Let a reminder come, because its reader said that it is theirs.

    Raises:
        InvalidTransition: it was cancelled, or ended otherwise.
    """
    due = due_on_confirmation(reminder, now=now, month_seconds=month_seconds)
    reminder.occurrence += 1
    transition_reminder(session, reminder, ReminderEvent.CONFIRM, now=now)
    reminder.due_on, reminder.due_at, reminder.attempts = due.local_date, due.instant, 0
    reminder.awaits_confirmation, reminder.confirmed_at = False, now


def schedule_next_occurrence(
    session: Session, reminder: Reminder, *, now: datetime.datetime, month_seconds: int | None = None
) -> None:
    """Set a reminder that repeats for its next time; one that does not repeat stays as it is.

    Raises:
        InvalidTransition: its last time is not over.
    """
    if reminder.every_months is None:
        return
    due = next_due(reminder, reminder.every_months, now=now, month_seconds=month_seconds)
    reminder.occurrence += 1
    transition_reminder(session, reminder, ReminderEvent.REPEAT, now=now)
    reminder.due_on, reminder.due_at, reminder.attempts = due.local_date, due.instant, 0


def cancel(session: Session, reminder: Reminder, *, now: datetime.datetime) -> None:
    """End a reminder and all that would follow it; if it is asked for later, it must be confirmed anew.

    Raises:
        InvalidTransition: there is nothing to end.
    """
    transition_reminder(session, reminder, ReminderEvent.CANCEL, now=now)
    reminder.every_months = reminder.confirmed_at = None


def _last_delivery(session: Session, reminder: Reminder) -> EmailDelivery | None:
    return session.get(EmailDelivery, (reminder.id, reminder.occurrence))


def _restart(
    session: Session,
    reminder: Reminder,
    due: DueDate,
    *,
    last_delivery: EmailDelivery | None,
    now: datetime.datetime,
) -> None:
    # A reminder whose mail was never tried is merely moved; any other begins a new occurrence, with new attempts.
    if last_delivery is not None or reminder.status != ReminderStatus.SCHEDULED:
        reminder.occurrence += 1
    reminder.due_on, reminder.due_at = due.local_date, due.instant
    reminder.asked_at, reminder.attempts = now, 0
    transition_reminder(session, reminder, ReminderEvent.REQUEST, now=now)

"""How a reminder moves on: its one table, its history, and where a new occurrence begins.

An occurrence is one mail, with attempts of its own. It ends with the mail, so that whatever follows is another.
"""

import datetime

from sqlalchemy.orm import Session

from schemas.vocabulary import ReminderStatus
from service.db.delivery import Delivery
from service.db.reminder import Reminder, ReminderMove
from service.domain.calendar import Due
from service.domain.reminders.due import due_next, due_once_confirmed
from service.domain.reminders.status import ReminderEvent, move

# Whoever signs up strangers must not fill their mailboxes with our questions.
QUESTION_PAUSE = datetime.timedelta(hours=1)


def move_reminder(
    session: Session,
    reminder: Reminder,
    event: ReminderEvent,
    *,
    now: datetime.datetime,
    reason: str | None = None,
) -> None:
    """Move a reminder by its table and write the move into its history.

    Raises:
        IllegalMove: the reminder cannot do this from where it stands.
    """
    before = reminder.status
    reminder.status = move(before, event)
    reminder.reason = reason
    if reminder.status != ReminderStatus.SENDING:
        reminder.leased_until = reminder.leased_by = None
    session.add(
        ReminderMove(
            reminder_id=reminder.id,
            occurrence=reminder.occurrence,
            event=event,
            from_status=before,
            to_status=reminder.status,
            reason=reason,
            at=now,
        )
    )


def renew_reminder(session: Session, reminder: Reminder, due: Due, *, now: datetime.datetime) -> None:
    """Set a reminder anew because its reader asked again; nothing more is to be confirmed."""
    _ask_anew(session, reminder, due, tried=_last_try(session, reminder), now=now)
    reminder.awaits_confirmation = False


def ask_to_confirm(session: Session, reminder: Reminder, *, now: datetime.datetime) -> None:
    """Have the worker ask the reader whether the reminder that was just asked for is theirs.

    A question that is still to leave is not doubled, and who was asked within the hour is not asked again.
    """
    tried = _last_try(session, reminder)
    earliest = now
    if reminder.awaits_confirmation:
        if reminder.status == ReminderStatus.SENDING or (
            reminder.status == ReminderStatus.SCHEDULED and tried is None
        ):
            return
        if tried is not None:
            earliest = max(now, tried.began_at + QUESTION_PAUSE)
        if earliest > now and reminder.status in (ReminderStatus.SCHEDULED, ReminderStatus.UNCONFIRMED):
            return
    _ask_anew(session, reminder, Due(reminder.due_on, earliest), tried=tried, now=now)
    reminder.awaits_confirmation = True


def confirm(
    session: Session, reminder: Reminder, *, now: datetime.datetime, month_seconds: int | None = None
) -> None:
    """Let a reminder come, because its reader said that it is theirs.

    Raises:
        IllegalMove: it was cancelled, or ended otherwise.
    """
    due = due_once_confirmed(reminder, now=now, month_seconds=month_seconds)
    reminder.occurrence += 1
    move_reminder(session, reminder, ReminderEvent.CONFIRM, now=now)
    reminder.due_on, reminder.due_at, reminder.attempts = due.on, due.at, 0
    reminder.awaits_confirmation, reminder.confirmed_at = False, now


def schedule_next(
    session: Session, reminder: Reminder, *, now: datetime.datetime, month_seconds: int | None = None
) -> None:
    """Set a reminder that repeats for its next time; one that does not repeat stays as it is.

    Raises:
        IllegalMove: its last time is not over.
    """
    if reminder.every_months is None:
        return
    due = due_next(reminder, reminder.every_months, now=now, month_seconds=month_seconds)
    reminder.occurrence += 1
    move_reminder(session, reminder, ReminderEvent.COME_AGAIN, now=now)
    reminder.due_on, reminder.due_at, reminder.attempts = due.on, due.at, 0


def cancel(session: Session, reminder: Reminder, *, now: datetime.datetime) -> None:
    """End a reminder and all that would follow it; if it is asked for later, it must be confirmed anew.

    Raises:
        IllegalMove: there is nothing to end.
    """
    move_reminder(session, reminder, ReminderEvent.CANCEL, now=now)
    reminder.every_months = reminder.confirmed_at = None


def _last_try(session: Session, reminder: Reminder) -> Delivery | None:
    return session.get(Delivery, (reminder.id, reminder.occurrence))


def _ask_anew(
    session: Session, reminder: Reminder, due: Due, *, tried: Delivery | None, now: datetime.datetime
) -> None:
    # A reminder whose mail was never tried is merely moved; any other begins a new occurrence, with new attempts.
    if tried is not None or reminder.status != ReminderStatus.SCHEDULED:
        reminder.occurrence += 1
    reminder.due_on, reminder.due_at = due.on, due.at
    reminder.asked_at, reminder.attempts = now, 0
    move_reminder(session, reminder, ReminderEvent.ASK, now=now)

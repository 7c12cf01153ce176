"""What the end of a reminder's email means for the reminder, in the transaction that completes the email."""

import datetime
from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from schemas.enums import EmailKind, ReminderStatus
from service.db.arrays import is_one_of
from service.db.models.email import OutgoingEmail
from service.db.models.reminder import Reminder, status_is
from service.domain.email.delivery import FinishedEmail
from service.domain.email.status import EmailEvent
from service.domain.reminders.status import ReminderEvent
from service.domain.reminders.transitions import bulk_transition, schedule_next_occurrence, transition_reminder


def finish_reminders(
    session: Session,
    emails: Sequence[FinishedEmail],
    *,
    now: datetime.datetime,
    month_seconds: int | None = None,
) -> None:
    """Complete the reminders of these emails; the caller has locked them.

    A reminder that was cancelled or renewed meanwhile stays as it is.
    """
    rows = session.execute(
        select(Reminder.id, Reminder.occurrence, Reminder.every_months).where(
            is_one_of(session, Reminder.id, [email.reminder_id for email in emails]),
            status_is(ReminderStatus.SENDING),
        )
    ).all()
    current = {row.id: row for row in rows}
    sent_once = []
    for email in emails:
        row = current.get(email.reminder_id)
        if row is None or row.occurrence != email.occurrence:
            continue
        is_sent = email.event == EmailEvent.DELIVER and email.kind == EmailKind.REMINDER
        if is_sent and row.every_months is None:
            sent_once.append(email)
        else:
            # Read again, because another transaction may have changed it since this session first read it.
            reminder = session.get_one(Reminder, row.id, populate_existing=True)
            _finish(session, reminder, email, now=now, month_seconds=month_seconds)
    if sent_once:
        _bulk_mark_sent(session, sent_once, now=now)


def _bulk_mark_sent(session: Session, emails: Sequence[FinishedEmail], *, now: datetime.datetime) -> None:
    """Change many reminders to `sent` with a few statements, because nearly all end this way."""
    status = bulk_transition(
        session,
        ReminderEvent.DELIVER,
        [(email.reminder_id, email.occurrence) for email in emails],
        from_status=ReminderStatus.SENDING,
        now=now,
    )
    session.execute(
        update(Reminder)
        .where(
            is_one_of(session, Reminder.id, [email.reminder_id for email in emails]),
            OutgoingEmail.reminder_id == Reminder.id,
            OutgoingEmail.occurrence == Reminder.occurrence,
        )
        .values(status=status, sent_at=OutgoingEmail.finished_at)
        .execution_options(synchronize_session=False)
    )


def _finish(
    session: Session,
    reminder: Reminder,
    email: FinishedEmail,
    *,
    now: datetime.datetime,
    month_seconds: int | None,
) -> None:
    match email.event:
        case EmailEvent.DELIVER if email.kind == EmailKind.REMINDER_CONFIRMATION:
            transition_reminder(session, reminder, ReminderEvent.REQUEST_CONFIRMATION, now=now)
        case EmailEvent.DELIVER:
            transition_reminder(session, reminder, ReminderEvent.DELIVER, now=now)
            reminder.sent_at = email.finished_at
            schedule_next_occurrence(session, reminder, now=now, month_seconds=month_seconds)
        case EmailEvent.SKIP:
            transition_reminder(session, reminder, ReminderEvent.SKIP, now=now, reason=email.reason)
            if not email.is_suppressed:
                schedule_next_occurrence(session, reminder, now=now, month_seconds=month_seconds)
        case EmailEvent.FAIL:
            transition_reminder(session, reminder, ReminderEvent.FAIL, now=now, reason=email.reason)

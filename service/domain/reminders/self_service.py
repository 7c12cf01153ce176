"""What a reader can do with the link in our mail: look at their reminder, confirm it, move it on, cancel it.

Whoever holds the link has read the mail, so that each of these proves whose address it is.
"""

import datetime

from sqlalchemy.orm import Session

from schemas.enums import ReminderStatus, SuppressionReason
from service.db.keyring import Keyring
from service.db.models.reminder import Reminder
from service.domain.email.suppression import suppress_supporter
from service.domain.errors import ReminderNotFound
from service.domain.reminders.reminders import ReminderResult, reminder_result
from service.domain.reminders.schedule import first_due, validate_interval
from service.domain.reminders.status import TRANSITIONS, ReminderEvent
from service.domain.reminders.transitions import cancel, confirm, reschedule
from service.domain.supporters import session_keyring
from service.domain.tokens import InvalidToken, issue_token, verify_token

TOKEN_PURPOSE = "reminder"  # noqa: S105 - the purpose of a token is no secret
TOKEN_TTL = datetime.timedelta(days=730)


def reminder_token(keyring: Keyring, reminder: Reminder) -> str:
    """Return the reader's token for this reminder, good for two years after it is due."""
    return issue_token(keyring, purpose=TOKEN_PURPOSE, subject=reminder.id, expires_at=reminder.due_at + TOKEN_TTL)


def get_reminder_by_token(
    session: Session, token: str, *, now: datetime.datetime, for_update: bool = False
) -> Reminder:
    """Return the reminder that a token stands for; with `for_update`, hold its row.

    Raises:
        ReminderNotFound: the token is altered or expired, or the reminder was erased.
    """
    try:
        reminder_id = verify_token(session_keyring(session), purpose=TOKEN_PURPOSE, token=token, now=now)
    except InvalidToken as error:
        raise ReminderNotFound("This reminder link is not valid any more.") from error
    reminder = session.get(Reminder, reminder_id, with_for_update=True if for_update else None)
    if reminder is None:
        raise ReminderNotFound("This reminder link is not valid any more.")
    return reminder


def confirm_reminder(
    session: Session, token: str, *, now: datetime.datetime, month_seconds: int | None = None
) -> ReminderResult:
    """Let a reminder come that waits for its reader's word; repeating it changes nothing.

    Raises:
        ReminderNotFound: the token is no good.
        InvalidTransition: it was cancelled, so that it has to be asked for again.
    """
    reminder = get_reminder_by_token(session, token, now=now, for_update=True)
    # Once cancelled, it must not be called confirmed either, whatever it was before.
    if reminder.awaits_confirmation or reminder.status == ReminderStatus.CANCELLED:
        confirm(session, reminder, now=now, month_seconds=month_seconds)
    return reminder_result(reminder)


def can_confirm(reminder: Reminder) -> bool:
    """Whether the reader has yet to say that the reminder is theirs, and can."""
    return reminder.awaits_confirmation and (reminder.status, ReminderEvent.CONFIRM) in TRANSITIONS


def snooze_reminder(
    session: Session,
    token: str,
    *,
    months: int | None,
    now: datetime.datetime,
    month_seconds: int | None = None,
) -> ReminderResult:
    """Move the reminder on by some months from now; a sent or cancelled one is set anew.

    One that repeats goes on repeating, counted from its new date.

    Raises:
        ReminderNotFound: the token is no good.
        RemindersNotOffered, ReminderChoiceNotOffered: the campaign does not offer that.
    """
    reminder = get_reminder_by_token(session, token, now=now, for_update=True)
    campaign = reminder.campaign
    reminder.months = validate_interval(campaign, months)
    due = first_due(campaign, reminder.months, reminder.timezone, now=now, month_seconds=month_seconds)
    reschedule(session, reminder, due, now=now)
    reminder.confirmed_at = now
    return reminder_result(reminder)


def cancel_reminder(session: Session, token: str, *, now: datetime.datetime) -> Reminder:
    """Make sure that no mail follows, neither this nor a later one; repeating it changes nothing.

    Raises:
        ReminderNotFound: the token is no good.
    """
    reminder = get_reminder_by_token(session, token, now=now, for_update=True)
    if can_cancel(reminder):
        cancel(session, reminder, now=now)
    # Also where there is nothing to cancel any more: whoever says this wants no further mail of the campaign's.
    suppress_supporter(
        session, reminder.supporter_id, reason=SuppressionReason.UNSUBSCRIBE, scope=reminder.campaign.slug, now=now
    )
    return reminder


def can_cancel(reminder: Reminder) -> bool:
    """Whether the reader can still say that they want no reminder."""
    return (reminder.status, ReminderEvent.CANCEL) in TRANSITIONS

"""What a reader can do with the link in an email: view, confirm, snooze and cancel their reminder.

The link's token proves that the reader gets email at this address.
"""

import datetime

from sqlalchemy.orm import Session

from schemas.enums import ReminderStatus, SuppressionReason
from service.db.keyring import Keyring
from service.db.models.reminder import Reminder
from service.db.session import session_keyring
from service.domain.email.suppression import suppress_supporter
from service.domain.errors import ReminderNotFound
from service.domain.reminders.reminders import ReminderResult, reminder_result
from service.domain.reminders.schedule import first_due, validate_interval, validate_picked_day
from service.domain.reminders.status import TRANSITIONS, ReminderEvent
from service.domain.reminders.transitions import cancel, confirm, reschedule
from service.domain.tokens import InvalidToken, issue_token, verify_token

TOKEN_PURPOSE = "reminder"  # noqa: S105 - the purpose of a token is no secret
TOKEN_TTL = datetime.timedelta(days=730)


def reminder_token(keyring: Keyring, reminder: Reminder) -> str:
    """Return the token for this reminder's links; it expires two years after the reminder is due."""
    return issue_token(keyring, purpose=TOKEN_PURPOSE, subject=reminder.id, expires_at=reminder.due_at + TOKEN_TTL)


def get_reminder_by_token(
    session: Session, token: str, *, now: datetime.datetime, for_update: bool = False
) -> Reminder:
    """Return the reminder of a token; with `for_update`, lock its row.

    Raises:
        ReminderNotFound: the token is invalid or expired, or the reminder was deleted.
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
    """Confirm a reminder; idempotent.

    Raises:
        ReminderNotFound: the token is invalid.
        InvalidTransition: the reminder was cancelled, so it has to be requested again.
    """
    reminder = get_reminder_by_token(session, token, now=now, for_update=True)
    # A cancelled reminder must not be reported as confirmed, even if it was before.
    if reminder.awaits_confirmation or reminder.status == ReminderStatus.CANCELLED:
        confirm(session, reminder, now=now, month_seconds=month_seconds)
    return reminder_result(reminder)


def can_confirm(reminder: Reminder) -> bool:
    """Whether the reminder awaits a confirmation that is still possible."""
    return reminder.awaits_confirmation and (reminder.status, ReminderEvent.CONFIRM) in TRANSITIONS


def snooze_reminder(
    session: Session,
    token: str,
    *,
    months: int | None,
    due_on: datetime.date | None = None,
    now: datetime.datetime,
    month_seconds: int | None = None,
) -> ReminderResult:
    """Reschedule the reminder to `months` from now, or to `due_on`, also if it was sent or cancelled.

    A repeating reminder keeps repeating, counted from its new date.

    Raises:
        ReminderNotFound: the token is invalid.
        RemindersNotOffered, ReminderChoiceNotOffered: the campaign does not offer this interval, or days to pick.
        DueDateOutOfRange: the day is not from tomorrow until 12 months ahead.
    """
    reminder = get_reminder_by_token(session, token, now=now, for_update=True)
    campaign, zone = reminder.campaign, reminder.timezone
    if due_on is None:
        reminder.months = validate_interval(campaign, months)
    else:
        reminder.months = validate_picked_day(campaign, due_on, zone, now=now)
    due = first_due(campaign, reminder.months, zone, due_on=due_on, now=now, month_seconds=month_seconds)
    reschedule(session, reminder, due, now=now)
    reminder.confirmed_at = now
    return reminder_result(reminder)


def cancel_reminder(session: Session, token: str, *, now: datetime.datetime) -> Reminder:
    """Cancel the reminder, and suppress the address for the campaign; idempotent.

    Raises:
        ReminderNotFound: the token is invalid.
    """
    reminder = get_reminder_by_token(session, token, now=now, for_update=True)
    if can_cancel(reminder):
        cancel(session, reminder, now=now)
    # Also if there is nothing left to cancel, because the reader wants no further email from this campaign.
    suppress_supporter(
        session, reminder.supporter_id, reason=SuppressionReason.UNSUBSCRIBE, scope=reminder.campaign.slug, now=now
    )
    return reminder


def can_cancel(reminder: Reminder) -> bool:
    """Whether the reminder can still be cancelled."""
    return (reminder.status, ReminderEvent.CANCEL) in TRANSITIONS

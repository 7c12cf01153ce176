"""Reminders as readers see them: set one, look at it, cancel it, move it on."""

import datetime
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.vocabulary import Frequency, ReminderStatus
from service.db.base import new_id
from service.db.campaign import Campaign
from service.db.keyring import Keyring
from service.db.reminder import Reminder, ReminderMove
from service.db.upsert import insert_row, insert_unless_there
from service.domain.addresses import normalise_address
from service.domain.calendar import Due, next_month
from service.domain.campaigns import choice_for
from service.domain.errors import ReminderChoiceNotOffered, ReminderNotFound, RemindersNotOffered
from service.domain.money import Money
from service.domain.pledges import check_amount
from service.domain.reminder_status import MOVES, ReminderEvent, move
from service.domain.supporters import keyring_in, meet_supporter
from service.domain.tokens import BadTokenError, issue_token, read_token

TOKEN_PURPOSE = "reminder"  # noqa: S105 - the purpose of a token is no secret
TOKEN_GOOD_FOR = datetime.timedelta(days=730)
MADE = "made"


@dataclass(frozen=True, kw_only=True)
class ReminderWish:
    """What a reader asks for; what is left out comes from the campaign."""

    campaign: str
    email: str = field(repr=False)
    months: int | None = None
    timezone: str | None = None
    frequency: Frequency | None = None
    amount: int | None = None
    page_url: str | None = None
    lang: str | None = None
    consent_version: str | None = None


@dataclass(frozen=True, kw_only=True)
class SetReminder:
    """What the reader is told: the same whether or not their address was known."""

    status: ReminderStatus
    due_on: datetime.date
    due_at: datetime.datetime


def set_reminder(
    session: Session,
    campaign: Campaign,
    wish: ReminderWish,
    *,
    now: datetime.datetime,
    month_seconds: int | None = None,
) -> SetReminder:
    """Set the reader's one reminder for this campaign, or renew the one they have.

    `month_seconds` shortens a month for a demonstration; None means the calendar's.

    Raises:
        RemindersNotOffered, ReminderChoiceNotOffered, InvalidAddress, UnknownTimeZone, AmountBelowMinimum,
        AmountAboveMaximum, FrequencyNotOffered: nothing is stored.
    """
    months = _months(campaign, wish.months)
    frequency = wish.frequency or campaign.default_frequency
    if wish.amount is None:
        # The mail will lead back to this choice, so it must be one that the campaign offers.
        choice_for(campaign, frequency)
    else:
        check_amount(campaign, frequency, wish.amount, lang=wish.lang or campaign.lang)
    zone = wish.timezone or campaign.timezone
    due = _due(campaign, months, zone, now=now, month_seconds=month_seconds)
    supporter_id = meet_supporter(session, normalise_address(wish.email), now=now)
    said = {
        "months": months,
        "due_on": due.on,
        "due_at": due.at,
        "timezone": zone,
        "frequency": wish.frequency,
        "amount_minor": wish.amount,
        "currency": campaign.currency,
        "page_url": wish.page_url,
        "lang": wish.lang or campaign.lang,
        "consent_version": wish.consent_version,
        "asked_at": now,
    }
    reminder_id = new_id()
    row = {"id": reminder_id, "campaign_id": campaign.id, "supporter_id": supporter_id, **said}
    row |= {"status": ReminderStatus.SCHEDULED, "occurrence": 1, "attempts": 0, "lease_number": 0}
    if insert_unless_there(session, Reminder, row, unique=("campaign_id", "supporter_id")):
        made = {"occurrence": 1, "event": MADE, "to_status": ReminderStatus.SCHEDULED, "at": now}
        insert_row(session, ReminderMove, {"id": new_id(), "reminder_id": reminder_id, **made})
    else:
        standing = session.execute(
            select(Reminder)
            .where(Reminder.campaign_id == campaign.id, Reminder.supporter_id == supporter_id)
            .with_for_update()
        ).scalar_one()
        for name, value in said.items():
            setattr(standing, name, value)
        _renew(session, standing, now=now)
    return SetReminder(status=ReminderStatus.SCHEDULED, due_on=due.on, due_at=due.at)


def snooze_reminder(
    session: Session,
    token: str,
    *,
    months: int | None,
    now: datetime.datetime,
    month_seconds: int | None = None,
) -> SetReminder:
    """Move the reminder on by some months from now; a sent or cancelled one is set anew.

    Raises:
        ReminderNotFound: the token is no good.
        RemindersNotOffered, ReminderChoiceNotOffered: the campaign does not offer that.
    """
    reminder = find_reminder(session, token, now=now, to_change=True)
    reminder.months = _months(reminder.campaign, months)
    due = _due(reminder.campaign, reminder.months, reminder.timezone, now=now, month_seconds=month_seconds)
    reminder.due_on, reminder.due_at = due.on, due.at
    _renew(session, reminder, now=now)
    return SetReminder(status=reminder.status, due_on=due.on, due_at=due.at)


def cancel_reminder(session: Session, token: str, *, now: datetime.datetime) -> Reminder:
    """Make sure that no mail follows; repeating it changes nothing.

    Raises:
        ReminderNotFound: the token is no good.
    """
    reminder = find_reminder(session, token, now=now, to_change=True)
    if may_cancel(reminder):
        move_reminder(session, reminder, ReminderEvent.CANCEL, now=now)
    return reminder


def may_cancel(reminder: Reminder) -> bool:
    """Whether the reader can still say that they want no reminder."""
    return (reminder.status, ReminderEvent.CANCEL) in MOVES


def find_reminder(session: Session, token: str, *, now: datetime.datetime, to_change: bool = False) -> Reminder:
    """Return the reminder that a token stands for; with `to_change`, hold its row.

    Raises:
        ReminderNotFound: the token is altered or expired, or the reminder was erased.
    """
    try:
        reminder_id = read_token(keyring_in(session), purpose=TOKEN_PURPOSE, token=token, now=now)
    except BadTokenError as error:
        raise ReminderNotFound("This reminder link is not valid any more.") from error
    reminder = session.get(Reminder, reminder_id, with_for_update=True if to_change else None)
    if reminder is None:
        raise ReminderNotFound("This reminder link is not valid any more.")
    return reminder


def reminder_token(keyring: Keyring, reminder: Reminder) -> str:
    """Return the reader's token for this reminder, good for two years after it is due."""
    return issue_token(
        keyring, purpose=TOKEN_PURPOSE, subject=reminder.id, expires_at=reminder.due_at + TOKEN_GOOD_FOR
    )


def chosen_gift(reminder: Reminder) -> Money | None:
    """Return the amount that the reader chose, unless they chose none or the campaign takes other money by now."""
    if reminder.amount_minor is None or reminder.currency != reminder.campaign.currency:
        return None
    return Money(reminder.amount_minor, reminder.currency)


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
        reminder.leased_until = None
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


def _renew(session: Session, reminder: Reminder, *, now: datetime.datetime) -> None:
    # A reminder that has not left yet is merely moved; any other begins a new occurrence.
    if reminder.status != ReminderStatus.SCHEDULED:
        reminder.occurrence += 1
    reminder.asked_at = now
    reminder.attempts = 0
    move_reminder(session, reminder, ReminderEvent.ASK, now=now)


def _months(campaign: Campaign, wished: int | None) -> int:
    if not campaign.reminder_enabled or not campaign.reminder_choices:
        raise RemindersNotOffered("This campaign offers no reminders.", field="campaign")
    months = campaign.reminder_choices[0] if wished is None else wished
    if months not in campaign.reminder_choices:
        offered = ", ".join(map(str, campaign.reminder_choices))
        raise ReminderChoiceNotOffered(
            f"Choose after how many months: this campaign offers {offered}.", field="months"
        )
    return months


def _due(campaign: Campaign, months: int, zone: str, *, now: datetime.datetime, month_seconds: int | None) -> Due:
    due = next_month(now, months=months, zone=zone, hour=campaign.send_hour)
    if month_seconds is None:
        return due
    at = now + datetime.timedelta(seconds=months * month_seconds)
    return Due(on=at.astimezone(ZoneInfo(zone)).date(), at=at)

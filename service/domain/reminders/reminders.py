"""Setting a reminder: what readers ask for on our pages and in the widget, where nobody is known yet.

What they do later, by the link in a mail, is in `links`; how a reminder moves on, in `moves`.
"""

import datetime
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.enums import Frequency, ReminderStatus
from service.db.base import new_id
from service.db.models.campaign import Campaign
from service.db.models.reminder import Reminder, ReminderStatusChange
from service.db.models.supporter import Supporter
from service.db.upsert import execute_insert, insert_on_conflict_do_nothing
from service.domain.campaigns.amounts import campaign_currencies, find_option, validate_amount
from service.domain.email.addresses import normalise_address
from service.domain.errors import RemindersNotOffered
from service.domain.money import Money
from service.domain.ports import NO_LIMITS, PaymentGateway
from service.domain.reminders.schedule import first_due, validate_interval
from service.domain.reminders.transitions import request_confirmation, reschedule
from service.domain.supporters import get_or_create_supporter


@dataclass(frozen=True, kw_only=True)
class ReminderResult:
    """What the reader is told: the same whether or not their address was known."""

    status: ReminderStatus
    due_on: datetime.date
    due_at: datetime.datetime
    repeat: bool


def reminder_result(reminder: Reminder) -> ReminderResult:
    """Return what is promised of a reminder as it stands."""
    return ReminderResult(
        status=reminder.status,
        due_on=reminder.due_on,
        due_at=reminder.due_at,
        repeat=reminder.every_months is not None,
    )


def preselected_amount(reminder: Reminder) -> Money | None:
    """Return the amount that the reader chose, if they chose one in money that the campaign still takes."""
    if reminder.amount_minor is None or reminder.currency not in campaign_currencies(reminder.campaign):
        return None
    return Money(reminder.amount_minor, reminder.currency)


CREATED = "made"


@dataclass(frozen=True, kw_only=True)
class CreateReminder:
    """What a reader asks for; what is left out comes from the campaign. With `repeat`, every so many months."""

    campaign: str
    email: str = field(repr=False)
    months: int | None = None
    repeat: bool = False
    timezone: str | None = None
    frequency: Frequency | None = None
    amount: int | None = None
    currency: str | None = None
    page_url: str | None = None
    lang: str | None = None
    consent_version: str | None = None


def create_or_update_reminder(
    session: Session,
    campaign: Campaign,
    payload: CreateReminder,
    *,
    now: datetime.datetime,
    month_seconds: int | None = None,
    gateway: PaymentGateway | None = None,
) -> ReminderResult:
    """Set the reader's one reminder for this campaign, or renew the one they have.

    Where the campaign has readers confirm, it comes only once they did; until then only that question leaves.
    `month_seconds` shortens a month for a demonstration; None means the calendar's. The mail leads back to what
    was chosen, so that an amount must be one that the campaign offers and the `gateway`, if given, can charge.

    Raises:
        RemindersNotOffered, ReminderChoiceNotOffered, InvalidAddress, UnknownTimezone, CurrencyNotAccepted,
        FrequencyNotOffered, AmountBelowMinimum, AmountAboveMaximum, AmountNotChargeable: nothing is stored.
    """
    months = validate_interval(campaign, payload.months, repeat=payload.repeat)
    frequency = payload.frequency or campaign.default_frequency
    currency = payload.currency or campaign.currency
    if payload.amount is None:
        find_option(campaign, frequency, currency)
    else:
        limits = NO_LIMITS if gateway is None else gateway.charge_limits(currency)
        money, lang = Money(payload.amount, currency), payload.lang or campaign.lang
        validate_amount(campaign, frequency, money, limits=limits, lang=lang)
    zone = payload.timezone or campaign.timezone
    due = first_due(campaign, months, zone, now=now, month_seconds=month_seconds)
    supporter_id = get_or_create_supporter(session, normalise_address(payload.email), now=now)
    values = {
        "months": months,
        "every_months": months if payload.repeat else None,
        "due_on": due.local_date,
        "timezone": zone,
        "frequency": payload.frequency,
        "amount_minor": payload.amount,
        "currency": currency,
        "page_url": payload.page_url,
        "lang": payload.lang or campaign.lang,
        "consent_version": payload.consent_version,
        "asked_at": now,
    }
    needs_confirmation = campaign.reminder_confirm
    reminder_id = new_id()
    row = {"id": reminder_id, "campaign_id": campaign.id, "supporter_id": supporter_id, **values}
    row |= {"status": ReminderStatus.SCHEDULED, "occurrence": 1, "attempts": 0, "lease_number": 0}
    row |= {"due_at": now if needs_confirmation else due.instant, "awaits_confirmation": needs_confirmation}
    if insert_on_conflict_do_nothing(session, Reminder, row, unique=("campaign_id", "supporter_id")):
        made = {"occurrence": 1, "event": CREATED, "to_status": ReminderStatus.SCHEDULED, "at": now}
        execute_insert(session, ReminderStatusChange, {"id": new_id(), "reminder_id": reminder_id, **made})
    else:
        existing = session.execute(
            select(Reminder)
            .where(Reminder.campaign_id == campaign.id, Reminder.supporter_id == supporter_id)
            .with_for_update()
        ).scalar_one()
        for name, value in values.items():
            setattr(existing, name, value)
        if needs_confirmation and existing.confirmed_at is None:
            request_confirmation(session, existing, now=now)
        else:
            reschedule(session, existing, due, now=now)
    # Whoever asks is told the same, whether the address is known, confirmed already, or neither.
    status = ReminderStatus.UNCONFIRMED if needs_confirmation else ReminderStatus.SCHEDULED
    return ReminderResult(status=status, due_on=due.local_date, due_at=due.instant, repeat=payload.repeat)


UPCOMING_STATUSES = (ReminderStatus.SCHEDULED, ReminderStatus.SENDING, ReminderStatus.UNCONFIRMED)


def upcoming_reminders(session: Session, supporter_id: uuid.UUID) -> Sequence[Reminder]:
    """Return the reminders that are still to come, the next one first."""
    wanted = select(Reminder).where(Reminder.supporter_id == supporter_id, Reminder.status.in_(UPCOMING_STATUSES))
    return session.scalars(wanted.order_by(Reminder.due_at)).all()


def create_supporter_reminder(
    session: Session,
    campaign: Campaign,
    supporter_id: uuid.UUID,
    *,
    months: int,
    frequency: Frequency | None = None,
    amount_minor: int | None = None,
    currency: str | None = None,
    lang: str,
    now: datetime.datetime,
    month_seconds: int | None = None,
) -> datetime.date:
    """Set the one reminder of somebody whom we know, or renew it; return the date. There is nothing to confirm.

    Raises:
        RemindersNotOffered: the campaign offers none, or nobody is there any more to be reminded.
    """
    held = select(Supporter.id).where(Supporter.id == supporter_id).with_for_update(read=True, key_share=True)
    if not campaign.reminder_enabled or session.scalar(held) is None:
        raise RemindersNotOffered("This campaign offers no reminders.", field="campaign")
    due = first_due(campaign, months, campaign.timezone, now=now, month_seconds=month_seconds)
    said = {
        "months": months,
        "every_months": None,
        "due_on": due.local_date,
        "timezone": campaign.timezone,
        "frequency": frequency,
        "amount_minor": amount_minor,
        "currency": currency or campaign.currency,
        "page_url": None,
        "lang": lang,
        "consent_version": None,
        "asked_at": now,
        "confirmed_at": now,
    }
    reminder_id = new_id()
    row = {"id": reminder_id, "campaign_id": campaign.id, "supporter_id": supporter_id, **said}
    row |= {"status": ReminderStatus.SCHEDULED, "occurrence": 1, "attempts": 0, "lease_number": 0}
    row |= {"due_at": due.instant, "awaits_confirmation": False}
    if insert_on_conflict_do_nothing(session, Reminder, row, unique=("campaign_id", "supporter_id")):
        made = {"occurrence": 1, "event": CREATED, "to_status": ReminderStatus.SCHEDULED, "at": now}
        execute_insert(session, ReminderStatusChange, {"id": new_id(), "reminder_id": reminder_id, **made})
    else:
        theirs = select(Reminder).where(Reminder.campaign_id == campaign.id, Reminder.supporter_id == supporter_id)
        standing = session.scalars(theirs.with_for_update()).one()
        for name, value in said.items():
            setattr(standing, name, value)
        reschedule(session, standing, due, now=now)
    return due.local_date

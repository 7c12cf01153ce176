"""Creating reminders: from a sign-up form, where the reader is unknown, or for a supporter whom we know.

What readers do later with the link in an email is in `self_service`; the changes of status are in `transitions`.
"""

import datetime
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from schemas.enums import Frequency, ReminderStatus
from service.db.base import new_id
from service.db.models.campaign import Campaign
from service.db.models.reminder import Reminder, ReminderStatusChange
from service.db.models.supporter import Supporter
from service.db.upsert import execute_insert, insert_on_conflict_do_nothing
from service.domain.calendar import DueDate
from service.domain.campaigns.amounts import find_option, validate_amount
from service.domain.campaigns.definitions import require_open
from service.domain.campaigns.preferences import OfferedPreference, offered_preference
from service.domain.email.addresses import normalise_address
from service.domain.email.capabilities import require_supported_address
from service.domain.errors import RemindersNotOffered
from service.domain.money import Money
from service.domain.ports import NO_LIMITS, PaymentGateway
from service.domain.reminders.schedule import first_due, validate_interval, validate_picked_day
from service.domain.reminders.sign_ups import KnownReader, find_known_reader, may_send
from service.domain.reminders.transitions import imitate_renewal, request_confirmation, reschedule
from service.domain.supporters import get_or_create_supporter

CREATED = "made"
UPCOMING_STATUSES = (ReminderStatus.SCHEDULED, ReminderStatus.SENDING, ReminderStatus.UNCONFIRMED)


@dataclass(frozen=True, kw_only=True)
class CreateReminder:
    """A reader's request. None means the campaign's default. With `repeat` it comes every `months` months.

    With `due_on` it comes once, on that day, and `months` is None. `amount` is in minor units.
    """

    campaign: str
    email: str = field(repr=False)
    months: int | None = None
    repeat: bool = False
    due_on: datetime.date | None = None
    timezone: str | None = None
    frequency: Frequency | None = None
    amount: int | None = None
    currency: str | None = None
    page_url: str | None = None
    page_title: str | None = None
    lang: str | None = None
    consent_version: str | None = None


@dataclass(frozen=True, kw_only=True)
class ReminderResult:
    """What the response to a reader says. It does not reveal whether their address was known."""

    status: ReminderStatus
    due_on: datetime.date
    due_at: datetime.datetime
    repeat: bool


def create_or_update_reminder(
    session: Session,
    campaign: Campaign,
    payload: CreateReminder,
    *,
    now: datetime.datetime,
    month_seconds: int | None = None,
    gateway: PaymentGateway | None = None,
    mail_server: str | None = None,
) -> ReminderResult:
    """Create the reader's only reminder for this campaign, or update the one they have.

    If the campaign requires confirmation, or the reader has unsubscribed, only a confirmation request is sent
    until they confirm. The person who signs up may not be the reader, so a standing reminder keeps all but its
    date, and the limits of `mailbox_limits` apply: beyond them nothing is stored, and the result is the same.
    `month_seconds` shortens a month for a demonstration; None means calendar months. The email links back to the
    chosen amount, so the campaign must offer it, and the `gateway`, if given, must be able to charge it. The
    `mail_server`, if given, must be able to send to the address.

    Raises:
        CampaignClosed, RemindersNotOffered, ReminderChoiceNotOffered, InvalidAddress, AddressNotSupported,
        UnknownTimezone, DueDateOutOfRange, CurrencyNotAccepted, FrequencyNotOffered, AmountBelowMinimum,
        AmountAboveMaximum, AmountNotChargeable:
            nothing is stored.
    """
    require_open(campaign)
    zone = payload.timezone or campaign.timezone
    if payload.due_on is None:
        months = validate_interval(campaign, payload.months, repeat=payload.repeat)
    else:
        months = validate_picked_day(campaign, payload.due_on, zone, now=now)
    frequency = payload.frequency or campaign.default_frequency
    currency = payload.currency or campaign.currency
    if payload.amount is None:
        find_option(campaign, frequency, currency)
    else:
        limits = NO_LIMITS if gateway is None else gateway.charge_limits(currency)
        money, lang = Money(payload.amount, currency), payload.lang or campaign.lang
        validate_amount(campaign, frequency, money, limits=limits, lang=lang)
    due = first_due(campaign, months, zone, due_on=payload.due_on, now=now, month_seconds=month_seconds)
    address = normalise_address(payload.email)
    require_supported_address(session, address, server=mail_server)
    # The response is the same whether the address is unknown, known, confirmed or unsubscribed.
    status = ReminderStatus.UNCONFIRMED if campaign.reminder_confirm else ReminderStatus.SCHEDULED
    result = ReminderResult(status=status, due_on=due.local_date, due_at=due.instant, repeat=payload.repeat)
    known = find_known_reader(session, campaign, address)
    if not may_send(session, campaign, address, known, now=now):
        return result
    needs_confirmation = campaign.reminder_confirm or known.is_unsubscribed
    supporter_id = get_or_create_supporter(session, address, now=now)
    values = {
        "months": months,
        "every_months": months if payload.repeat else None,
        "due_on": due.local_date,
        "timezone": zone,
        "frequency": payload.frequency,
        "amount_minor": payload.amount,
        "currency": currency,
        "page_url": payload.page_url,
        "page_title": payload.page_title or None,
        "lang": payload.lang or campaign.lang,
        "consent_version": payload.consent_version,
        "asked_at": now,
    }
    due_at = now if needs_confirmation else due.instant
    is_new = _insert_reminder(
        session, campaign, supporter_id, values, due_at=due_at, awaits_confirmation=needs_confirmation, now=now
    )
    reminder = _lock_reminder(session, campaign, supporter_id)
    if is_new:
        imitate_renewal(session, reminder)
    else:
        _renew_by_sign_up(
            session,
            campaign,
            reminder,
            known,
            values,
            due,
            picked_day=payload.due_on,
            month_seconds=month_seconds,
            now=now,
        )
    return result


def _renew_by_sign_up(
    session: Session,
    campaign: Campaign,
    existing: Reminder,
    known: KnownReader,
    values: dict[str, Any],
    due: DueDate,
    *,
    picked_day: datetime.date | None,
    month_seconds: int | None,
    now: datetime.datetime,
) -> None:
    """Renew a locked reminder by a sign-up that anyone could make; `known` is from before it was locked."""
    if existing.status == ReminderStatus.CANCELLED and known.status != ReminderStatus.CANCELLED:
        # The reader cancelled it while this sign-up was under way.
        return
    # The reader may have confirmed it while this sign-up was under way.
    is_unsubscribed = known.is_unsubscribed and existing.confirmed_at == known.confirmed_at
    if existing.status in UPCOMING_STATUSES or is_unsubscribed:
        # Anyone can type in an address, so this may move the date and nothing else of what the reader chose.
        months = values["months"]
        due = first_due(
            campaign, months, existing.timezone, due_on=picked_day, now=now, month_seconds=month_seconds
        )
        # It may end a repetition, and never begin one: that would send more email than the reader asked for.
        every_months = existing.every_months and values["every_months"]
        values = {"months": months, "every_months": every_months, "due_on": due.local_date, "asked_at": now}
    for name, value in values.items():
        setattr(existing, name, value)
    if is_unsubscribed or (campaign.reminder_confirm and existing.confirmed_at is None):
        request_confirmation(session, existing, now=now)
    else:
        reschedule(session, existing, due, now=now)


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
    """Create or update the only reminder of a known supporter, which needs no confirmation; return its date.

    Raises:
        CampaignClosed: it sends no reminders.
        RemindersNotOffered: the campaign offers none, or the supporter was deleted.
    """
    require_open(campaign)
    supporter_lock = (
        select(Supporter.id).where(Supporter.id == supporter_id).with_for_update(read=True, key_share=True)
    )
    if not campaign.reminder_enabled or session.scalar(supporter_lock) is None:
        raise RemindersNotOffered("This campaign offers no reminders.", field="campaign")
    due = first_due(campaign, months, campaign.timezone, now=now, month_seconds=month_seconds)
    values = {
        "months": months,
        "every_months": None,
        "due_on": due.local_date,
        "timezone": campaign.timezone,
        "frequency": frequency,
        "amount_minor": amount_minor,
        "currency": currency or campaign.currency,
        "page_url": None,
        "page_title": None,
        "lang": lang,
        "consent_version": None,
        "asked_at": now,
        "confirmed_at": now,
    }
    if not _insert_reminder(
        session, campaign, supporter_id, values, due_at=due.instant, awaits_confirmation=False, now=now
    ):
        existing = _lock_reminder(session, campaign, supporter_id)
        for name, value in values.items():
            setattr(existing, name, value)
        reschedule(session, existing, due, now=now)
    return due.local_date


def _insert_reminder(
    session: Session,
    campaign: Campaign,
    supporter_id: uuid.UUID,
    values: dict[str, Any],
    *,
    due_at: datetime.datetime,
    awaits_confirmation: bool,
    now: datetime.datetime,
) -> bool:
    """Insert a supporter's reminder for a campaign; return False if they have one."""
    reminder_id = new_id()
    row = {"id": reminder_id, "campaign_id": campaign.id, "supporter_id": supporter_id, **values}
    row |= {"status": ReminderStatus.SCHEDULED, "occurrence": 1}
    row |= {"due_at": due_at, "awaits_confirmation": awaits_confirmation}
    if not insert_on_conflict_do_nothing(session, Reminder, row, unique=("campaign_id", "supporter_id")):
        return False
    change = {"occurrence": 1, "event": CREATED, "to_status": ReminderStatus.SCHEDULED, "at": now}
    execute_insert(session, ReminderStatusChange, {"id": new_id(), "reminder_id": reminder_id, **change})
    return True


def _lock_reminder(session: Session, campaign: Campaign, supporter_id: uuid.UUID) -> Reminder:
    parameters = {"campaign_id": campaign.id, "supporter_id": supporter_id}
    reminder: Reminder = session.scalars(_lock_query(), parameters).one()
    return reminder


@cache
def _lock_query() -> Any:
    return (
        select(Reminder)
        .where(
            Reminder.campaign_id == bindparam("campaign_id"), Reminder.supporter_id == bindparam("supporter_id")
        )
        .with_for_update()
    )


def upcoming_reminders(session: Session, supporter_id: uuid.UUID) -> Sequence[Reminder]:
    """Return the supporter's reminders that are still to be sent, soonest first."""
    query = select(Reminder).where(Reminder.supporter_id == supporter_id, Reminder.status.in_(UPCOMING_STATUSES))
    return session.scalars(query.order_by(Reminder.due_at)).all()


def reminder_result(reminder: Reminder) -> ReminderResult:
    return ReminderResult(
        status=reminder.status,
        due_on=reminder.due_on,
        due_at=reminder.due_at,
        repeat=reminder.every_months is not None,
    )


def reminder_preference(
    reminder: Reminder, campaign: Campaign, gateway: PaymentGateway | None = None
) -> OfferedPreference:
    """Return what the campaign offers today of what the reader chose, and what it does not."""
    return chargeable_preference(
        campaign, reminder.frequency, reminder.amount_minor, reminder.currency, gateway=gateway
    )


def chargeable_preference(
    campaign: Campaign,
    frequency: Frequency | None,
    amount_minor: int | None,
    currency: str,
    *,
    gateway: PaymentGateway | None,
) -> OfferedPreference:
    """Return what the campaign offers today of a choice, within the limits of the gateway."""
    limits = NO_LIMITS if gateway is None else gateway.charge_limits(currency)
    return offered_preference(campaign, frequency, amount_minor, currency, limits=limits)

"""The page of a reminder `/r/<token>`, and the reminder form of the support page.

A GET changes nothing, because email scanners follow links.
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, redirect, request, url_for
from marshmallow import ValidationError
from werkzeug.wrappers import Response as BaseResponse

from schemas import reminder_labels
from schemas.enums import Frequency, ReminderStatus
from schemas.fields import CalendarDate
from schemas.reminder import ReminderRequest, SnoozeRequest
from service.db.models.campaign import Campaign
from service.db.models.reminder import Reminder
from service.domain.campaigns.amounts import campaign_currencies, options_for_currency, validate_amount
from service.domain.campaigns.definitions import require_open
from service.domain.campaigns.preferences import OfferedPreference
from service.domain.errors import DomainError, DueDateOutOfRange, InvalidTransition, ReminderChoiceNotOffered
from service.domain.money import Money
from service.domain.offer_changes import describe_changes
from service.domain.pledges.attribution import attribution_token
from service.domain.reminders.emails import ALREADY_PLEDGED
from service.domain.reminders.reminders import CreateReminder, reminder_preference
from service.domain.reminders.schedule import (
    first_due,
    offered_interval,
    pickable_days,
    validate_interval,
    validate_picked_day,
)
from service.domain.reminders.self_service import (
    can_cancel,
    can_confirm,
    cancel_reminder,
    confirm_reminder,
    get_reminder_by_token,
    snooze_reminder,
)
from service.pages.form_errors import FormError, describe_error
from service.pages.formatting import (
    format_day,
    format_interval,
    format_near_day,
    format_pledge,
    format_reminder_button,
)
from service.pages.outcomes import outcome, outcome_url
from service.pages.rendering import render_page
from service.pages.support_form import parse_int
from service.pages.translations import Texts, texts_for_campaign
from service.web import current_container, read_only, transaction

REPEAT_PREFIX = "every-"
# The value of the choice "On a day I choose".
PICKED_DAY = "day"
FIELDS = ("email", "months", "due_on", "frequency", "amount", "currency")
FNV_OFFSET, FNV_PRIME, FOUR_BYTES = 0x811C9DC5, 0x01000193, 0xFFFFFFFF

reminder_pages = Blueprint("reminder_pages", __name__)


@dataclass(frozen=True, kw_only=True)
class ReminderForm:
    """The values of the reminder form, as text.

    `months` is "3" for a single reminder, "every-3" for a recurring one, and "day" for one on `due_on`.
    `frequency`, `currency` and `amount` (in minor units) preselect the pledge that the reminder offers.
    """

    email: str = ""
    months: str = ""
    due_on: str = ""
    frequency: str = ""
    amount: str = ""
    currency: str = ""


@dataclass(frozen=True)
class ReminderOption:
    """A choice in the form: the value of its radio button, and its label."""

    value: str
    label: str


@reminder_pages.get("/r/<token>")
def show_reminder(token: str) -> Response:
    """Show a reminder's status and the actions that it allows."""
    return _render_reminder(token)


def _render_reminder(token: str, error: DomainError | None = None) -> Response:
    container, said = current_container(), outcome()
    with read_only() as session:
        reminder = get_reminder_by_token(session, token, now=container.clock())
        campaign = reminder.campaign
        texts = texts_for_campaign(campaign, reminder.lang)
        preference = reminder_preference(reminder, campaign, container.gateway)
        amount = preference.money
        every_months = offered_interval(campaign, reminder.every_months)
        field_error = None if error is None else describe_error(error, texts, campaign)
        response = render_page(
            "reminder.html",
            texts,
            status=200 if field_error is None else field_error.status,
            campaign=campaign,
            field_error=field_error,
            days=pickable_days(reminder.timezone, now=container.clock()),
            typed_day=request.form.get("due_on", ""),
            state=_state(reminder),
            is_just_confirmed="confirmed" in said and reminder.status == ReminderStatus.SCHEDULED,
            moved_to=_moved_to(reminder, texts, now=container.clock()) if "moved" in said else None,
            due_on=format_day(reminder.due_on, campaign, texts),
            sent_on=_sent_on(reminder, texts),
            interval=None if every_months is None else format_interval(every_months, texts),
            has_ended=reminder.every_months is not None and every_months is None and can_cancel(reminder),
            support_url=container.urls.support_page_url(
                campaign,
                preference.frequency,
                amount.amount_minor if amount else None,
                attribution_token(container.database.keyring, reminder),
                currency=amount.currency if amount else None,
            ),
            pledge_summary=_pledge_summary(preference, texts),
            offer_changes=describe_changes(preference.changes, texts.format, texts.lang),
            interval_options=[
                (months, format_reminder_button(months, texts)) for months in campaign.reminder_choices
            ],
            can_snooze=campaign.reminder_enabled and not can_confirm(reminder),
            can_cancel=can_cancel(reminder),
            current_path=url_for(".show_reminder", token=token),
            lang_query=f"?lang={texts.lang}" if "lang" in request.args else "",
        )
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@reminder_pages.get("/r/<token>/confirm")
@reminder_pages.get("/r/<token>/snooze")
@reminder_pages.get("/r/<token>/cancel")
def open_action(token: str) -> BaseResponse:
    """Lead to the page that has the action as a button: a reader may reload the address of a form."""
    return _redirect_to_reminder(token)


@reminder_pages.post("/r/<token>/confirm")
def confirm(token: str) -> BaseResponse:
    """Confirm the reminder."""
    container = current_container()
    try:
        with transaction() as session:
            confirm_reminder(session, token, now=container.clock(), month_seconds=container.settings.month_seconds)
    except InvalidTransition:
        # The reminder may have been cancelled meanwhile; its page shows that and how to undo it.
        return _redirect_to_reminder(token)
    return _redirect_to_reminder(token, confirmed="yes")


@reminder_pages.post("/r/<token>/snooze")
def snooze(token: str) -> BaseResponse:
    """Postpone the reminder, counted from today, or schedule it again after it was sent or cancelled."""
    container = current_container()
    try:
        payload = SnoozeRequest().load(
            {"months": parse_int(request.form["months"])} if "months" in request.form else {}
        )
    except ValidationError as error:
        raise ReminderChoiceNotOffered("This campaign offers no such reminder.", field="months") from error
    try:
        with transaction() as session:
            reminder = get_reminder_by_token(session, token, now=container.clock())
            was_waiting, zone = can_cancel(reminder), reminder.timezone
            snooze_reminder(
                session,
                token,
                months=payload.get("months"),
                due_on=_parse_day(request.form["due_on"], zone) if "due_on" in request.form else None,
                now=container.clock(),
                month_seconds=container.settings.month_seconds,
            )
    except DueDateOutOfRange as error:
        return _render_reminder(token, error)
    return _redirect_to_reminder(token, moved="yes" if was_waiting else None)


@reminder_pages.post("/r/<token>/cancel")
def cancel(token: str) -> BaseResponse:
    with transaction() as session:
        cancel_reminder(session, token, now=current_container().clock())
    return _redirect_to_reminder(token)


def reminder_options(campaign: Campaign, texts: Texts) -> list[ReminderOption]:
    """Return the campaign's reminder choices, in the same order and with the same labels as the widget."""
    choices = reminder_labels.reminder_options(
        campaign.reminder_choices,
        campaign.reminder_repeats,
        texts.lang,
        campaign.texts,
    )
    return [
        ReminderOption(f"{REPEAT_PREFIX if choice['repeat'] else ''}{choice['months']}", choice["label"])
        for choice in choices
    ]


def reminder_form_from_request(values: Mapping[str, str]) -> ReminderForm:
    """Return the form filled in from a query string or a submitted form."""
    return ReminderForm(**{name: values.get(name, "") for name in FIELDS})


def parse_reminder_form(campaign: Campaign, form: ReminderForm, texts: Texts, *, page_url: str) -> CreateReminder:
    """Return the command that the form describes.

    Raises:
        FormError: a field is missing or invalid.
        DueDateOutOfRange: a day is to be picked, and none was.
    """
    if not form.email.strip():
        raise FormError("email_missing", field="email")
    picks_day = form.months == PICKED_DAY
    number = "" if picks_day else form.months.removeprefix(REPEAT_PREFIX)
    months = parse_int(number)
    if months is None and form.months and not picks_day:
        raise FormError("reminder_choice_not_offered", field="months")
    fields: dict[str, Any] = {
        "campaign": campaign.slug,
        "email": form.email,
        "months": months,
        "repeat": not picks_day and number != form.months,
        "due_on": str(_parse_day(form.due_on, campaign.timezone)) if picks_day else None,
        "page_url": page_url,
        "lang": texts.lang,
        "consent_version": consent_version(texts.lang, texts.reminder_consent),
    } | _preselected_choice(campaign, form)
    try:
        payload = ReminderRequest().load({name: value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        messages = error.messages if isinstance(error.messages, dict) else {}
        if "months" in messages:
            raise FormError("reminder_choice_not_offered", field="months") from error
        raise FormError("invalid_email", field="email") from error
    return CreateReminder(**payload)


def calendar_links(campaign: Campaign, texts: Texts, form: ReminderForm) -> list[tuple[str, str]]:
    """Return the label and the address of a calendar file for each reminder that comes once."""
    choice = {"frequency": form.frequency, "amount": form.amount, "currency": form.currency, "lang": texts.lang}
    query = {name: value for name, value in choice.items() if value}
    return [
        (option.label, f"/support/{campaign.slug}/reminder.ics?{urlencode({'months': option.value} | query)}")
        for option in reminder_options(campaign, texts)
        if not option.value.startswith(REPEAT_PREFIX)
    ]


def calendar_day(campaign: Campaign, query: Mapping[str, str]) -> datetime.date:
    """Return the day of a reminder in the campaign's zone: `due_on`, or `months` from today.

    Raises:
        CampaignClosed, RemindersNotOffered, ReminderChoiceNotOffered, DueDateOutOfRange: none is offered.
    """
    require_open(campaign)
    zone, now = campaign.timezone, current_container().clock()
    if "due_on" in query:
        due_on = _parse_day(query["due_on"], zone)
        validate_picked_day(campaign, due_on, zone, now=now)
        return due_on
    # What is no number is offered as little as a number that is not.
    months = parse_int(query["months"]) or 0 if "months" in query else None
    return first_due(campaign, validate_interval(campaign, months), zone, now=now, month_seconds=None).local_date


def _parse_day(text: str, zone: str) -> datetime.date:
    """Return the day in a date field.

    Raises:
        DueDateOutOfRange: it is empty, or no date. The error says which days may be picked.
    """
    try:
        return CalendarDate().deserialize(text.strip())
    except ValidationError as error:
        raise DueDateOutOfRange(*pickable_days(zone, now=current_container().clock())) from error


def consent_version(lang: str, consent_text: str) -> str:
    """Return the identifier of a consent text: its language and FNV-1a hash (32 bits), as in the widget."""
    version = FNV_OFFSET
    for byte in consent_text.encode():
        version = (version ^ byte) * FNV_PRIME & FOUR_BYTES
    return f"{lang}-{version:08x}"


def _redirect_to_reminder(token: str, *, confirmed: str | None = None, moved: str | None = None) -> BaseResponse:
    url = outcome_url(url_for(".show_reminder", token=token), {"confirmed": confirmed, "moved": moved})
    return redirect(url, 303)


def _state(reminder: Reminder) -> str:
    """Return the state that names the page's texts."""
    if can_confirm(reminder):
        return ReminderStatus.UNCONFIRMED
    if reminder.status == ReminderStatus.SKIPPED and reminder.reason not in (None, ALREADY_PLEDGED):
        return "suppressed"
    return reminder.status


def _moved_to(reminder: Reminder, texts: Texts, *, now: datetime.datetime) -> str | None:
    """Return what the reader has just done, with the new date; None if the reminder does not wait for it."""
    if reminder.status != ReminderStatus.SCHEDULED:
        return None
    today = now.astimezone(ZoneInfo(reminder.timezone)).date()
    date = format_near_day(reminder.due_on, reminder.campaign, texts, today=today)
    return texts.format("reminder_moved", date=date)


def _sent_on(reminder: Reminder, texts: Texts) -> str | None:
    """Return the date of sending in the reminder's time zone; None if it was not sent."""
    if reminder.sent_at is None:
        return None
    sent_on = reminder.sent_at.astimezone(ZoneInfo(reminder.timezone)).date()
    return format_day(sent_on, reminder.campaign, texts)


def _pledge_summary(preference: OfferedPreference, texts: Texts) -> str | None:
    """Return the preselected amount and frequency; None unless both are known and still offered."""
    if preference.frequency is None or preference.money is None:
        return None
    return format_pledge(texts, preference.frequency, preference.money)


def _preselected_choice(campaign: Campaign, form: ReminderForm) -> dict[str, Any]:
    """Return the preselected fields that the campaign still offers and the gateway can charge."""
    currency = form.currency or campaign.currency
    if currency not in campaign_currencies(campaign):
        return {}
    if form.frequency not in {option.frequency.value for option in options_for_currency(campaign, currency)}:
        return {}
    preselected = {"frequency": form.frequency, "currency": currency}
    amount = parse_int(form.amount)
    try:
        money = Money(0 if amount is None else amount, currency)
        limits = current_container().gateway.charge_limits(currency)
        validate_amount(campaign, Frequency(form.frequency), money, limits=limits, lang=campaign.lang)
    except DomainError:
        return preselected
    return preselected | {"amount": amount}

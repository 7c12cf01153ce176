"""The reader's own page for their reminder. Looking at it changes nothing: mail scanners follow links."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, redirect, request, url_for
from marshmallow import ValidationError
from werkzeug.wrappers import Response as BaseResponse

from schemas import reminder_labels as reminder_words
from schemas.enums import Frequency, ReminderStatus
from schemas.reminder import ReminderRequest, SnoozeRequest
from service.db.models.campaign import Campaign
from service.db.models.reminder import Reminder
from service.domain.campaigns.amounts import campaign_currencies, options_for_currency, validate_amount
from service.domain.errors import DomainError, InvalidTransition, ReminderChoiceNotOffered
from service.domain.money import Money, resolve_locale
from service.domain.pledges.attribution import attribution_token
from service.domain.reminders.emails import ALREADY_PLEDGED
from service.domain.reminders.reminders import CreateReminder, preselected_amount
from service.domain.reminders.self_service import (
    can_cancel,
    can_confirm,
    cancel_reminder,
    confirm_reminder,
    get_reminder_by_token,
    snooze_reminder,
)
from service.pages.form_errors import FormError
from service.pages.formatting import format_interval, format_long_date, format_pledge, format_reminder_button
from service.pages.rendering import render_page
from service.pages.support_form import parse_int
from service.pages.translations import Texts, texts_for_campaign
from service.web import current_container, read_only, transaction

reminder = Blueprint("reminder", __name__)


@reminder.get("/r/<token>")
def show_reminder(token: str) -> Response:
    """Say when the reminder is due, or what became of it, and what the reader can do."""
    container = current_container()
    with read_only() as session:
        reminder = get_reminder_by_token(session, token, now=container.clock())
        campaign = reminder.campaign
        texts = texts_for_campaign(campaign, reminder.lang)
        pledge = preselected_amount(reminder)
        response = render_page(
            "reminder.html",
            texts,
            campaign=campaign,
            state=_state(reminder),
            is_just_confirmed="confirmed" in request.args and reminder.status == ReminderStatus.SCHEDULED,
            due_on=format_long_date(reminder.due_on, texts.lang),
            sent_on=_sent_on(reminder, texts.lang),
            often=None if reminder.every_months is None else format_interval(reminder.every_months, texts),
            give_url=container.urls.support_page_url(
                campaign,
                reminder.frequency,
                pledge.amount_minor if pledge else None,
                attribution_token(container.database.keyring, reminder),
                currency=pledge.currency if pledge else None,
            ),
            gift=_preselected_amount(reminder, texts),
            waits=[(months, format_reminder_button(months, texts)) for months in campaign.reminder_choices],
            can_wait=campaign.reminder_enabled and not can_confirm(reminder),
            can_cancel=can_cancel(reminder),
            here=request.path,
            keeping_lang=f"?lang={texts.lang}" if "lang" in request.args else "",
        )
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@reminder.post("/r/<token>/confirm")
def confirm(token: str) -> BaseResponse:
    """Let the reminder come, because its reader wants it."""
    container = current_container()
    try:
        with transaction() as session:
            confirm_reminder(session, token, now=container.clock(), month_seconds=container.settings.month_seconds)
    except InvalidTransition:
        # It was cancelled on another page, say; this one then shows so, and how to undo that.
        return _redirect_to_reminder(token)
    return _redirect_to_reminder(token, confirmed="yes")


@reminder.post("/r/<token>/snooze")
def snooze(token: str) -> BaseResponse:
    """Move the reminder on from today, or set it again after it was sent or cancelled."""
    container = current_container()
    try:
        payload = SnoozeRequest().load(
            {"months": parse_int(request.form["months"])} if "months" in request.form else {}
        )
    except ValidationError as error:
        raise ReminderChoiceNotOffered("This campaign offers no such reminder.", field="months") from error
    with transaction() as session:
        snooze_reminder(
            session,
            token,
            months=payload.get("months"),
            now=container.clock(),
            month_seconds=container.settings.month_seconds,
        )
    return _redirect_to_reminder(token)


@reminder.post("/r/<token>/cancel")
def cancel(token: str) -> BaseResponse:
    """Make sure that no mail follows."""
    with transaction() as session:
        cancel_reminder(session, token, now=current_container().clock())
    return _redirect_to_reminder(token)


def _redirect_to_reminder(token: str, *, confirmed: str | None = None) -> BaseResponse:
    page = url_for(".show_reminder", token=token, lang=request.args.get("lang"), confirmed=confirmed)
    return redirect(page, 303)


def _state(reminder: Reminder) -> str:
    """Return the word by which the page's texts are named."""
    if can_confirm(reminder):
        return ReminderStatus.UNCONFIRMED
    if reminder.status == ReminderStatus.SKIPPED and reminder.reason not in (None, ALREADY_PLEDGED):
        return "suppressed"
    return reminder.status


def _sent_on(reminder: Reminder, lang: str) -> str | None:
    if reminder.sent_at is None:
        return None
    return format_long_date(reminder.sent_at.astimezone(ZoneInfo(reminder.timezone)).date(), lang)


def _preselected_amount(reminder: Reminder, texts: Texts) -> str | None:
    pledge = preselected_amount(reminder)
    return (
        None if reminder.frequency is None or pledge is None else format_pledge(texts, reminder.frequency, pledge)
    )


REPEAT_PREFIX = "every-"
FIELDS = ("email", "months", "frequency", "amount", "currency")
FNV_OFFSET, FNV_PRIME, FOUR_BYTES = 0x811C9DC5, 0x01000193, 0xFFFFFFFF


@dataclass(frozen=True, kw_only=True)
class ReminderForm:
    """What stands in the form, as text; frequency and amount (minor units of `currency`) were chosen before.

    `months` is "3" for a reminder that comes once, and "every-3" for one that comes again and again.
    """

    email: str = ""
    months: str = ""
    frequency: str = ""
    amount: str = ""
    currency: str = ""


@dataclass(frozen=True)
class ReminderOption:
    """One reminder on offer: what the form sends for it, and what readers see."""

    value: str
    label: str


def reminder_options(campaign: Campaign, texts: Texts) -> list[ReminderOption]:
    """Return every reminder that the campaign offers, in the widget's order and words."""
    offered = reminder_words.reminder_options(
        campaign.reminder_choices,
        campaign.reminder_repeats,
        texts.lang,
        campaign.texts,
        locale=resolve_locale(texts.lang),
    )
    return [
        ReminderOption(f"{REPEAT_PREFIX if one['repeat'] else ''}{one['months']}", one["label"]) for one in offered
    ]


def reminder_form_from_request(sent: Mapping[str, str]) -> ReminderForm:
    """Return the form with what a query or a sent form says."""
    return ReminderForm(**{name: sent.get(name, "") for name in FIELDS})


def parse_reminder_form(campaign: Campaign, form: ReminderForm, texts: Texts, *, page_url: str) -> CreateReminder:
    """Return what the reader asks for.

    Raises:
        Complaint: a field is missing or cannot be accepted.
    """
    if not form.email.strip():
        raise FormError("email_missing", field="email")
    number = form.months.removeprefix(REPEAT_PREFIX)
    months = parse_int(number)
    if months is None and form.months:
        raise FormError("reminder_choice_not_offered", field="months")
    asked: dict[str, Any] = {
        "campaign": campaign.slug,
        "email": form.email,
        "months": months,
        "repeat": number != form.months,
        "page_url": page_url,
        "lang": texts.lang,
        "consent_version": consent_version(texts.lang, texts.reminder_consent),
    } | _preselected_choice(campaign, form)
    try:
        payload = ReminderRequest().load({name: value for name, value in asked.items() if value is not None})
    except ValidationError as error:
        faults = error.messages if isinstance(error.messages, dict) else {}
        if "months" in faults:
            raise FormError("reminder_choice_not_offered", field="months") from error
        raise FormError("invalid_email", field="email") from error
    return CreateReminder(**payload)


def _preselected_choice(campaign: Campaign, form: ReminderForm) -> dict[str, Any]:
    """Return what was chosen before, as far as the campaign still offers it and the gateway can charge it."""
    currency = form.currency or campaign.currency
    if currency not in campaign_currencies(campaign):
        return {}
    offered = {choice.frequency.value: choice for choice in options_for_currency(campaign, currency)}
    if form.frequency not in offered:
        return {}
    chosen, amount = {"frequency": form.frequency, "currency": currency}, parse_int(form.amount)
    try:
        money = Money(0 if amount is None else amount, currency)
        limits = current_container().gateway.charge_limits(currency)
        validate_amount(campaign, Frequency(form.frequency), money, limits=limits, lang=campaign.lang)
    except DomainError:
        return chosen
    return chosen | {"amount": amount}


def consent_version(lang: str, agreed_to: str) -> str:
    """Name the exact words that a reader agreed to, by the same rule as the widget (FNV-1a, 32 bits)."""
    version = FNV_OFFSET
    for byte in agreed_to.encode():
        version = (version ^ byte) * FNV_PRIME & FOUR_BYTES
    return f"{lang}-{version:08x}"

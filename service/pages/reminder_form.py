"""The form that asks for a reminder: an address, when to write, and the choice to bring back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError

from schemas import reminder_labels as reminder_words
from schemas.enums import Frequency
from schemas.reminder import ReminderRequest
from service.db.models.campaign import Campaign
from service.domain.campaigns.amounts import campaign_currencies, options_for_currency, validate_amount
from service.domain.errors import DomainError
from service.domain.money import Money, resolve_locale
from service.domain.reminders.reminders import CreateReminder
from service.pages.complaints import FormError
from service.pages.language import Texts
from service.pages.support_form import parse_int
from service.web import current_container

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

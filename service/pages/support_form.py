"""The pledge form of the support page: fill it in, parse it, and report what is invalid."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from marshmallow import ValidationError

from schemas.enums import Frequency
from schemas.pledge import PledgeRequest
from service.db.models.campaign import Campaign
from service.domain.campaigns.amounts import campaign_currencies, find_option, options_for_currency
from service.domain.campaigns.preferences import OfferedPreference, offered_preference
from service.domain.errors import UnparsableAmount
from service.domain.money import format_input_amount
from service.domain.money_input import parse_amount
from service.domain.pledges.pledges import CreatePledge
from service.domain.ports.payments import ChargeLimits
from service.pages.form_errors import FormError

VARIANT = "support-page"
MAX_KEY_LENGTH = 200
MAX_DIGITS = 12
CURRENCY_PATTERN = re.compile(r"[A-Z]{3}")
TOKEN_PATTERN = re.compile(r"[A-Za-z0-9_.-]{1,200}")


@dataclass(frozen=True, kw_only=True)
class SupportForm:
    """The values of the form, as text.

    `presets` has the selected preset of each frequency in minor units; `other_amount` is text as typed. Both are
    in `currency`. `reminder_token` is from the link of the reminder that led to this page. `key` makes a repeated
    submission idempotent.
    """

    frequency: str
    presets: Mapping[str, str]
    currency: str
    other_amount: str = ""
    covers_fees: bool = False
    reminder_token: str = ""
    key: str = field(default_factory=lambda: secrets.token_urlsafe(16))


def requested_preference(campaign: Campaign, query: Mapping[str, str]) -> OfferedPreference:
    """Return what the campaign offers today of the choice in a query string, in which nonsense is ignored."""
    frequency = next((known for known in Frequency if known.value == query.get("frequency")), None)
    currency = query.get("currency", "")
    if not CURRENCY_PATTERN.fullmatch(currency):
        currency = campaign.currency
    amount = parse_int(query.get("amount", ""))
    return offered_preference(campaign, frequency, amount, currency)


def initial_form(campaign: Campaign, query: Mapping[str, str], lang: str) -> SupportForm:
    """Return the form with the choice in the query string preselected, as far as the campaign offers it."""
    preference = requested_preference(campaign, query)
    currency = preference.currency or campaign.currency
    options = {option.frequency: option for option in options_for_currency(campaign, currency)}
    presets = {str(frequency): str(option.default_minor) for frequency, option in options.items()}
    # The currency may not be offered at the campaign's default frequency.
    wanted = (preference.frequency, campaign.default_frequency, *options)
    form = SupportForm(
        frequency=str(next(frequency for frequency in wanted if frequency in options)),
        presets=presets,
        currency=currency,
        reminder_token=_token(query),
    )
    if preference.money is None:
        return form
    amount = preference.money.amount_minor
    if amount in options[Frequency(form.frequency)].presets_minor:
        return replace(form, presets=presets | {form.frequency: str(amount)})
    return replace(form, other_amount=format_input_amount(preference.money, lang))


def form_from_request(campaign: Campaign, values: Mapping[str, str]) -> SupportForm:
    """Return the form as it was submitted."""
    key = values.get("key", "")
    key_is_valid = 8 <= len(key) <= MAX_KEY_LENGTH and all("!" <= character <= "~" for character in key)
    currency = values.get("currency", campaign.currency)
    frequencies = [
        option.frequency for option in options_for_currency(campaign, selected_currency(campaign, currency))
    ]
    form = SupportForm(
        frequency=values.get("frequency", ""),
        presets={str(frequency): values.get(f"preset_{frequency}", "") for frequency in frequencies},
        currency=currency,
        # The button with what the reader may have meant replaces what they typed.
        other_amount=values.get("use_amount") or values.get("other_amount", ""),
        covers_fees=values.get("cover_fees") == "yes",
        reminder_token=_token(values),
    )
    return replace(form, key=key) if key_is_valid else form


def parse_form(campaign: Campaign, form: SupportForm, lang: str, *, limits: ChargeLimits) -> CreatePledge:
    """Return the command that the form describes.

    Raises:
        FormError: a field is missing or invalid.
        UnparsableAmount: the typed amount is none of the language.
    """
    if form.currency not in campaign_currencies(campaign):
        raise FormError("currency_not_accepted", field="form")
    if form.frequency not in form.presets:
        # The page offered another frequency before the campaign changed.
        raise FormError(
            "frequency_not_offered" if form.frequency in list(Frequency) else "frequency_missing",
            field="frequency",
        )
    amount = _amount_within_limits(campaign, form, lang, limits)
    try:
        payload = PledgeRequest().load(
            {
                "campaign": campaign.slug,
                "frequency": form.frequency,
                "amount": amount,
                "currency": form.currency,
                "cover_fees": form.covers_fees,
                "variant": VARIANT,
                "lang": lang,
            }
            | ({"reminder": form.reminder_token} if form.reminder_token else {})
        )
    except ValidationError as error:
        # The other values are the campaign's own, so only the amount can be invalid.
        code = "amount_below_minimum" if amount <= 0 else "amount_above_maximum"
        raise FormError(code, field="amount") from error
    return CreatePledge(**payload)


def selected_currency(campaign: Campaign, requested: str) -> str:
    """Return the requested currency if the campaign accepts it, else the campaign's own."""
    return requested if requested in campaign_currencies(campaign) else campaign.currency


def _amount_within_limits(campaign: Campaign, form: SupportForm, lang: str, limits: ChargeLimits) -> int:
    """Return the amount in minor units. An amount that could not be given is not suggested."""
    try:
        return parse_form_amount(form, lang, limits=limits)
    except UnparsableAmount as error:
        option = find_option(campaign, Frequency(form.frequency), form.currency)
        suggested = error.suggested_minor
        if suggested is not None and suggested < option.minimum_minor:
            raise FormError("amount_below_minimum", field="amount") from error
        if suggested is not None and suggested > option.maximum_minor:
            raise FormError("amount_above_maximum", field="amount") from error
        raise


def parse_form_amount(form: SupportForm, lang: str, *, limits: ChargeLimits) -> int:
    """Return the amount in minor units: the typed amount, else the preset of the chosen frequency."""
    if form.other_amount.strip():
        return parse_amount(form.other_amount, currency=form.currency, lang=lang, step_minor=limits.step_minor)
    amount = parse_int(form.presets[form.frequency])
    if amount is None:
        raise FormError("amount_missing", field="amount")
    return amount


def parse_int(text: str) -> int | None:
    """Return a non-negative integer of at most `MAX_DIGITS` digits; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else None


def idempotency_key_for(form: SupportForm, payload: CreatePledge) -> str:
    """Return an idempotency key of the form's key and the choice, so that another choice is another pledge."""
    return (
        f"{form.key}-{payload.frequency}-{payload.amount}{payload.currency}{'-fees' if payload.cover_fees else ''}"
    )


def _token(values: Mapping[str, str]) -> str:
    """Return the reminder token; empty if it is malformed, because it must not make a pledge fail."""
    token = values.get("from", "")
    return token if TOKEN_PATTERN.fullmatch(token) else ""

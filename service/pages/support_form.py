"""The support form: what it offers, what was typed into it, and what is wrong with that."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from marshmallow import ValidationError

from schemas.pledge import PledgeRequest
from service.db.models.campaign import Campaign
from service.domain.campaigns.amounts import campaign_currencies, options_for_currency
from service.domain.money import Money
from service.domain.money_input import parse_amount
from service.domain.pledges.pledges import CreatePledge
from service.pages.form_errors import FormError
from service.pages.formatting import format_input_amount

VARIANT = "support-page"
MAX_KEY_LENGTH = 200
MAX_DIGITS = 12
TOKEN_PATTERN = re.compile(r"[A-Za-z0-9_.-]{1,200}")


@dataclass(frozen=True, kw_only=True)
class SupportForm:
    """What stands in the form, as text: presets in minor units by frequency, another amount as it was typed.

    All of them are in `currency`. `reminder_token` is the token of the reminder whose link led here.
    """

    frequency: str
    presets: Mapping[str, str]
    currency: str
    other_amount: str = ""
    covers_fees: bool = False
    reminder_token: str = ""
    key: str = field(default_factory=lambda: secrets.token_urlsafe(16))


def initial_form(campaign: Campaign, query: Mapping[str, str], lang: str) -> SupportForm:
    """Return the form as it is first shown, with the choice that an earlier page or mail made."""
    wanted = query.get("currency", campaign.currency)
    currency = selected_currency(campaign, wanted)
    offered = {str(choice.frequency): choice for choice in options_for_currency(campaign, currency)}
    presets = {frequency: str(choice.default_minor) for frequency, choice in offered.items()}
    # Not every currency need be offered at the campaign's usual frequency.
    wishes = (query.get("frequency", ""), str(campaign.default_frequency), *offered)
    form = SupportForm(
        frequency=next(payload for payload in wishes if payload in offered),
        presets=presets,
        currency=currency,
        reminder_token=_token(query),
    )
    amount, choice = parse_int(query.get("amount", "")), offered[form.frequency]
    # An amount in money that is not taken any more says nothing about any other.
    if amount is None or wanted != currency or not choice.minimum_minor <= amount <= choice.maximum_minor:
        return form
    if amount in choice.presets_minor:
        return replace(form, presets=presets | {form.frequency: str(amount)})
    return replace(form, other_amount=format_input_amount(Money(amount, currency), lang))


def form_from_request(campaign: Campaign, sent: Mapping[str, str]) -> SupportForm:
    """Return the form as the reader sent it, to be shown again with everything in it."""
    key = sent.get("key", "")
    usable = 8 <= len(key) <= MAX_KEY_LENGTH and all("!" <= sign <= "~" for sign in key)
    currency = sent.get("currency", campaign.currency)
    offered = [
        choice.frequency for choice in options_for_currency(campaign, selected_currency(campaign, currency))
    ]
    form = SupportForm(
        frequency=sent.get("frequency", ""),
        presets={str(frequency): sent.get(f"preset_{frequency}", "") for frequency in offered},
        currency=currency,
        other_amount=sent.get("other_amount", ""),
        covers_fees=sent.get("cover_fees") == "yes",
        reminder_token=_token(sent),
    )
    return replace(form, key=key) if usable else form


def parse_form(campaign: Campaign, form: SupportForm, lang: str) -> CreatePledge:
    """Return what the reader asks to give.

    Raises:
        Complaint: a field is missing or cannot be accepted.
        UnparsableAmount: what was typed is not an amount, or could be two different ones.
    """
    if form.currency not in campaign_currencies(campaign):
        raise FormError("currency_not_accepted", field="form")
    if form.frequency not in form.presets:
        raise FormError("frequency_missing", field="frequency")
    amount = parse_form_amount(form, lang)
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
        # The rest is the campaign's own; only an amount of nothing, or beyond all money, is left to refuse.
        too_little = amount <= 0
        raise FormError(
            "amount_below_minimum" if too_little else "amount_above_maximum", field="amount"
        ) from error
    return CreatePledge(**payload)


def _token(given: Mapping[str, str]) -> str:
    """Return what may be a reminder's token, and nothing for what cannot be one: no gift fails because of it."""
    token = given.get("from", "")
    return token if TOKEN_PATTERN.fullmatch(token) else ""


def selected_currency(campaign: Campaign, wanted: str) -> str:
    """Return the wanted currency if the campaign takes it, else the campaign's own."""
    return wanted if wanted in campaign_currencies(campaign) else campaign.currency


def parse_form_amount(form: SupportForm, lang: str) -> int:
    """Return the amount in minor units: the one that was typed, else the preset of the chosen frequency."""
    if form.other_amount.strip():
        return parse_amount(form.other_amount, currency=form.currency, lang=lang)
    amount = parse_int(form.presets[form.frequency])
    if amount is None:
        raise FormError("amount_missing", field="amount")
    return amount


def parse_int(text: str) -> int | None:
    """Return a plain whole number, or None for anything else, such as a field that was tampered with."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else None


def idempotency_key_for(form: SupportForm, payload: CreatePledge) -> str:
    """Return the idempotency key: the form and the choice, so that only the same choice sent again is a repeat."""
    return (
        f"{form.key}-{payload.frequency}-{payload.amount}{payload.currency}{'-fees' if payload.cover_fees else ''}"
    )

"""The support form: what it offers, what was typed into it, and what is wrong with that."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from marshmallow import ValidationError

from schemas.pledge import PledgeRequest
from service.db.campaign import Campaign
from service.domain.campaigns.offers import campaign_currencies, options_for_currency
from service.domain.money.amounts import Money, parse_amount
from service.domain.pledges.making import CreatePledge
from service.pages.complaints import Complaint
from service.pages.gifts import typed_form

VARIANT = "support-page"
LONGEST_KEY = 200
MOST_DIGITS = 12
TOKEN = re.compile(r"[A-Za-z0-9_.-]{1,200}")


@dataclass(frozen=True, kw_only=True)
class SupportForm:
    """What stands in the form, as text: presets in minor units by frequency, another amount as it was typed.

    All of them are in `currency`. `came_from` is the token of the reminder whose link led here.
    """

    frequency: str
    presets: Mapping[str, str]
    currency: str
    other_amount: str = ""
    covers_fees: bool = False
    came_from: str = ""
    key: str = field(default_factory=lambda: secrets.token_urlsafe(16))


def blank_form(campaign: Campaign, query: Mapping[str, str], lang: str) -> SupportForm:
    """Return the form as it is first shown, with the choice that an earlier page or mail made."""
    wanted = query.get("currency", campaign.currency)
    currency = shown_currency(campaign, wanted)
    offered = {str(choice.frequency): choice for choice in options_for_currency(campaign, currency)}
    presets = {frequency: str(choice.default_minor) for frequency, choice in offered.items()}
    # Not every currency need be offered at the campaign's usual frequency.
    wishes = (query.get("frequency", ""), str(campaign.default_frequency), *offered)
    form = SupportForm(
        frequency=next(payload for payload in wishes if payload in offered),
        presets=presets,
        currency=currency,
        came_from=_token(query),
    )
    amount, choice = whole(query.get("amount", "")), offered[form.frequency]
    # An amount in money that is not taken any more says nothing about any other.
    if amount is None or wanted != currency or not choice.minimum_minor <= amount <= choice.maximum_minor:
        return form
    if amount in choice.presets_minor:
        return replace(form, presets=presets | {form.frequency: str(amount)})
    return replace(form, other_amount=typed_form(Money(amount, currency), lang))


def filled_form(campaign: Campaign, sent: Mapping[str, str]) -> SupportForm:
    """Return the form as the reader sent it, to be shown again with everything in it."""
    key = sent.get("key", "")
    usable = 8 <= len(key) <= LONGEST_KEY and all("!" <= sign <= "~" for sign in key)
    currency = sent.get("currency", campaign.currency)
    offered = [choice.frequency for choice in options_for_currency(campaign, shown_currency(campaign, currency))]
    form = SupportForm(
        frequency=sent.get("frequency", ""),
        presets={str(frequency): sent.get(f"preset_{frequency}", "") for frequency in offered},
        currency=currency,
        other_amount=sent.get("other_amount", ""),
        covers_fees=sent.get("cover_fees") == "yes",
        came_from=_token(sent),
    )
    return replace(form, key=key) if usable else form


def read_wish(campaign: Campaign, form: SupportForm, lang: str) -> CreatePledge:
    """Return what the reader asks to give.

    Raises:
        Complaint: a field is missing or cannot be accepted.
        UnparsableAmount: what was typed is not an amount, or could be two different ones.
    """
    if form.currency not in campaign_currencies(campaign):
        raise Complaint("currency_not_accepted", field="form")
    if form.frequency not in form.presets:
        raise Complaint("frequency_missing", field="frequency")
    amount = amount_in(form, lang)
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
            | ({"reminder": form.came_from} if form.came_from else {})
        )
    except ValidationError as error:
        # The rest is the campaign's own; only an amount of nothing, or beyond all money, is left to refuse.
        too_little = amount <= 0
        raise Complaint(
            "amount_below_minimum" if too_little else "amount_above_maximum", field="amount"
        ) from error
    return CreatePledge(**payload)


def _token(given: Mapping[str, str]) -> str:
    """Return what may be a reminder's token, and nothing for what cannot be one: no gift fails because of it."""
    token = given.get("from", "")
    return token if TOKEN.fullmatch(token) else ""


def shown_currency(campaign: Campaign, wanted: str) -> str:
    """Return the wanted currency if the campaign takes it, else the campaign's own."""
    return wanted if wanted in campaign_currencies(campaign) else campaign.currency


def amount_in(form: SupportForm, lang: str) -> int:
    """Return the amount in minor units: the one that was typed, else the preset of the chosen frequency."""
    if form.other_amount.strip():
        return parse_amount(form.other_amount, currency=form.currency, lang=lang)
    amount = whole(form.presets[form.frequency])
    if amount is None:
        raise Complaint("amount_missing", field="amount")
    return amount


def whole(text: str) -> int | None:
    """Return a plain whole number, or None for anything else, such as a field that was tampered with."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else None


def intent_key(form: SupportForm, payload: CreatePledge) -> str:
    """Return the idempotency key: the form and the choice, so that only the same choice sent again is a repeat."""
    return (
        f"{form.key}-{payload.frequency}-{payload.amount}{payload.currency}{'-fees' if payload.cover_fees else ''}"
    )

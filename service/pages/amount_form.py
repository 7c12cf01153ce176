"""The form for another amount of a pledge, in its own frequency or in the one that the reader switches to."""

import datetime
from dataclasses import dataclass

from babel.numbers import get_currency_symbol
from flask import Response, request

from schemas.enums import Frequency
from service.domain.campaigns.amounts import find_option, validate_amount
from service.domain.errors import DomainError, UnparsableAmount
from service.domain.money import Money, format_input_amount, format_money, resolve_locale
from service.domain.money_input import parse_amount
from service.domain.pledges import subscriptions
from service.domain.pledges.renewals import MONTHS, next_payment_at
from service.pages.account_context import PledgeContext, submitted_frequency
from service.pages.account_view import format_campaign_date, format_pledge_summary
from service.pages.form_errors import FieldError, describe_typed_amount
from service.pages.formatting import format_pledge
from service.pages.rendering import render_page
from service.pages.support_form import parse_int
from service.web import current_container

EXAMPLE_MINOR = 750
LIMIT_CODES = ("amount_below_minimum", "amount_above_maximum", "amount_not_chargeable")
UNAVAILABLE_CODES = ("frequency_not_offered", "currency_not_accepted")


@dataclass(frozen=True, kw_only=True)
class AmountChoice:
    """A preset of the form for a new amount, its label, and the sentence about the next payment with it."""

    amount_minor: int
    label: str
    outcome: str


def submitted_amount(context: PledgeContext) -> int | None:
    """Return the typed amount, else the chosen preset, in minor units; None if there is neither.

    Raises:
        UnparsableAmount: the typed text is no amount.
    """
    typed, currency = _typed_amount(), context.pledge.currency
    if typed.strip():
        limits = current_container().gateway.charge_limits(currency)
        return parse_amount(typed, currency=currency, lang=context.texts.lang, step_minor=limits.step_minor)
    return parse_int(request.form.get("preset", ""))


def _typed_amount() -> str:
    # The button with what the reader may have meant replaces what they typed.
    return request.form.get("use_amount") or request.form.get("amount", "")


def has_unseen_total(context: PledgeContext, frequency: Frequency, amount_minor: int) -> bool:
    """Whether the reader covers fees and typed an amount, so that they have not seen the sum of both.

    Raises:
        CurrencyNotAccepted, FrequencyNotOffered, AmountBelowMinimum, AmountAboveMaximum, AmountNotChargeable:
        as `validate_amount`.
    """
    pledge, gateway, is_typed = context.pledge, current_container().gateway, bool(_typed_amount().strip())
    if not pledge.fees_minor or not is_typed or submitted_frequency() not in (None, frequency):
        return False
    money, limits = Money(amount_minor, pledge.currency), gateway.charge_limits(pledge.currency)
    validate_amount(pledge.campaign, frequency, money, limits=limits, lang=context.texts.lang)
    return subscriptions.total_charge_for(pledge, amount_minor, gateway) != money


def render_amount_form(
    context: PledgeContext,
    frequency: Frequency,
    *,
    field_error: FieldError | None = None,
    unconfirmed: int | None = None,
) -> Response:
    """Return the form for an amount in a frequency; one other than the pledge's is switched to.

    An `unconfirmed` amount is chosen, with the sum of it and the fees, and the reader is asked to submit again.
    """
    pledge, texts, now = context.pledge, context.texts, current_container().clock()
    locale = resolve_locale(texts.lang)
    next_at = next_payment_at(pledge, now=now)
    choices: list[AmountChoice] = []
    try:
        limits = _limits(context, frequency)
        choices = _choices(context, frequency, next_at, unconfirmed)
    except DomainError as error:
        # The campaign no longer offers this currency or frequency, so the page has an error and no form.
        limits, field_error = {}, amount_error(context, frequency, error)
    # What was typed for another frequency would be too much or too little in this one.
    submitted = request.form if submitted_frequency() in (None, frequency) else {}
    chosen = parse_int(submitted.get("preset", "")) if unconfirmed is None else unconfirmed
    if chosen is None:
        chosen = smaller_amount(context) if request.args.get("to") == "less" else _same_amount(context, frequency)
    response = render_page(
        "change_amount.html",
        texts,
        status=field_error.status if field_error else 200,
        campaign=pledge.campaign,
        pledge_summary=format_pledge_summary(pledge, texts),
        frequency=frequency.value,
        is_switch=frequency != pledge.frequency,
        covers_fees=pledge.fees_minor > 0,
        return_url=context.return_url,
        current_path=request.path,
        typed=submitted.get("amount", "") if unconfirmed is None else "",
        total=None
        if unconfirmed is None
        else format_money(
            subscriptions.total_charge_for(pledge, unconfirmed, current_container().gateway), texts.lang
        ),
        chosen=chosen,
        choices=choices,
        next_date=None if next_at is None else format_campaign_date(next_at, pledge, texts),
        next_payment_at="" if next_at is None else next_at.isoformat(),
        field_error=field_error,
        limits=limits,
        example=_example(context),
        currency_symbol=get_currency_symbol(pledge.currency, locale),
        symbol_is_after=locale.currency_formats["standard"].pattern.endswith("¤"),
    )
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def amount_error(context: PledgeContext, frequency: Frequency, error: DomainError) -> FieldError | None:
    """Return the form error for a rejected amount; None if the error has another cause."""
    texts = context.texts
    if isinstance(error, UnparsableAmount):
        return describe_typed_amount(error, texts, context.pledge.currency)
    if error.code in LIMIT_CODES:
        name = "me_amount_steps" if error.code == "amount_not_chargeable" else "me_amount_limits"
        message = texts.format(name, **_limits(context, frequency))
    elif error.code in UNAVAILABLE_CODES:
        return FieldError(field="form", message=texts.me_amount_not_offered, status=422)
    else:
        return None
    return FieldError(field="amount", message=message, status=422)


def smaller_amount(context: PledgeContext) -> int | None:
    """Return the smaller amount that a reader who wants to cancel may give instead, or None."""
    pledge = context.pledge
    if not subscriptions.may_change_amount(pledge):
        return None
    try:
        return subscriptions.smaller_amount(pledge, current_container().gateway)
    except DomainError:
        # The campaign no longer offers this currency or frequency.
        return None


def smaller_summary(context: PledgeContext) -> str | None:
    """Return that smaller amount with its frequency: "$2 a month"."""
    pledge, smaller = context.pledge, smaller_amount(context)
    if smaller is None:
        return None
    return format_pledge(context.texts, pledge.frequency, Money(smaller, pledge.currency))


def _choices(
    context: PledgeContext, frequency: Frequency, next_at: datetime.datetime | None, unconfirmed: int | None
) -> list[AmountChoice]:
    """Return the presets of the pledge's campaign, and what the reader gives now and typed if it is none of them.

    Raises:
        CurrencyNotAccepted, FrequencyNotOffered: the campaign no longer offers this combination.
    """
    pledge, texts, gateway = context.pledge, context.texts, current_container().gateway
    presets = find_option(pledge.campaign, frequency, pledge.currency).presets_minor
    next_date = None if next_at is None else format_campaign_date(next_at, pledge, texts)
    next_payment = "me_next_payment" if frequency == pledge.frequency else f"me_switch_outcome_{frequency}"

    def choice(amount_minor: int) -> AmountChoice:
        total = subscriptions.total_charge_for(pledge, amount_minor, gateway)
        shown = format_money(total, texts.lang)
        return AmountChoice(
            amount_minor=amount_minor,
            label=format_money(Money(amount_minor, pledge.currency), texts.lang),
            outcome=texts.format(next_payment, amount=shown, date=next_date)
            if next_date
            else texts.format("me_amount_outcome", amount=shown),
        )

    own = {_same_amount(context, frequency), *([] if unconfirmed is None else [unconfirmed])}
    return [choice(amount_minor) for amount_minor in sorted({*presets, *own})]


def _same_amount(context: PledgeContext, frequency: Frequency) -> int:
    """Return what the pledge gives, or about as much over a year in another frequency, within its limits."""
    pledge, gateway = context.pledge, current_container().gateway
    if frequency == pledge.frequency:
        return pledge.amount_minor
    try:
        least, most = subscriptions.amount_limits(pledge.campaign, gateway, frequency, pledge.currency)
    except DomainError:
        return pledge.amount_minor
    step = gateway.charge_limits(pledge.currency).step_minor
    amount_minor = pledge.amount_minor * MONTHS[frequency] // MONTHS[pledge.frequency]
    return min(max(amount_minor // step * step, least), most)


def _example(context: PledgeContext) -> str:
    """Return an example amount in the language's notation, with a fraction if the currency has one."""
    return format_input_amount(Money(EXAMPLE_MINOR, context.pledge.currency), context.texts.lang)


def _limits(context: PledgeContext, frequency: Frequency) -> dict[str, str]:
    """Return the formatted `least` and `most` amounts and the `step` between amounts."""
    pledge, gateway = context.pledge, current_container().gateway
    least, most = subscriptions.amount_limits(pledge.campaign, gateway, frequency, pledge.currency)
    limits = {"least": least, "most": most, "step": gateway.charge_limits(pledge.currency).step_minor}
    return {
        name: format_money(Money(amount_minor, pledge.currency), context.texts.lang)
        for name, amount_minor in limits.items()
    }

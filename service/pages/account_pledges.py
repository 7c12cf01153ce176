"""The account pages of one pledge: show it, change its amount or card, and cancel it."""

import uuid
from dataclasses import dataclass

from babel.numbers import get_currency_symbol
from flask import Response, request
from werkzeug.wrappers import Response as BaseResponse

from schemas.enums import PledgeStatus
from service.domain.campaigns.amounts import find_option
from service.domain.campaigns.definitions import offers_reminders
from service.domain.errors import DomainError, InvalidTransition, PaymentsUnavailable
from service.domain.money import Money, format_money, resolve_locale
from service.domain.money_input import parse_amount
from service.domain.pledges import subscriptions
from service.domain.pledges.attribution import giver_token
from service.domain.pledges.customers import pledges_with_same_supporter
from service.domain.pledges.pauses import is_pausable
from service.domain.pledges.queries import payments_for
from service.domain.pledges.renewals import next_payment_at
from service.domain.reminders.reminders import create_supporter_reminder
from service.pages.account import success_message
from service.pages.account_context import (
    PledgeContext,
    load_context,
    load_pledge_context,
    pledge_blueprint,
    render_gateway_error,
    route_for_account_and_link,
)
from service.pages.account_view import build_pledge_card, format_campaign_date, format_pledge_summary
from service.pages.form_errors import FieldError
from service.pages.formatting import format_input_amount, format_pledge
from service.pages.gateway_redirect import gateway_origins, redirect_to_gateway
from service.pages.rendering import render_page
from service.pages.support_form import parse_int
from service.web import current_container, read_only, transaction

REMINDER_DELAY_MONTHS = 3
EXAMPLE_MINOR = 750
LIMIT_CODES = ("amount_below_minimum", "amount_above_maximum", "amount_not_chargeable")
UNAVAILABLE_CODES = ("frequency_not_offered", "currency_not_accepted")

account_pledges = pledge_blueprint("account_pledges")


@account_pledges.get("/p/<token>")
def show_pledge(token: str) -> Response:
    """Show a pledge to the holder of its link. The page has no email address on it."""
    container = current_container()
    with read_only() as session:
        context = load_pledge_context(session, None, token)
        payments = payments_for(session, [context.pledge.id])[context.pledge.id]
        card = build_pledge_card(
            context.pledge,
            payments,
            context.texts,
            base_url=context.base_url,
            receipts_url=context.receipts_url,
            supporter_pledges=pledges_with_same_supporter(session, context.pledge),
            renew_token=giver_token(container.database.keyring, context.pledge, now=container.clock()),
        )
        response = render_page(
            "account_pledge.html",
            context.texts,
            form_targets=gateway_origins(),
            campaign=context.pledge.campaign,
            pledge=card,
            success_message=success_message(context.texts),
        )
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@route_for_account_and_link(account_pledges, "cancel", "GET")
def confirm_cancellation(pledge_id: uuid.UUID | None = None, token: str | None = None) -> BaseResponse:
    """Ask for confirmation before a cancellation; offer a reminder with it, and a pause or a smaller amount."""
    context = load_context(pledge_id, token)
    if not subscriptions.is_recurring_active(context.pledge) or subscriptions.is_cancelling(context.pledge):
        return context.redirect_back()
    response = render_page(
        "cancel_pledge.html",
        context.texts,
        campaign=context.pledge.campaign,
        pledge_summary=format_pledge_summary(context.pledge, context.texts),
        base_url=context.base_url,
        return_url=context.return_url,
        current_path=request.path,
        offers_reminder=_may_remind(context),
        smaller_summary=_smaller_summary(context),
        can_pause=is_pausable(context.pledge, now=current_container().clock()),
        has_transfer_on_its_way=context.pledge.status == PledgeStatus.PROCESSING,
    )
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@route_for_account_and_link(account_pledges, "cancel", "POST")
def cancel_pledge(pledge_id: uuid.UUID | None = None, token: str | None = None) -> BaseResponse:
    """Cancel the pledge, and create a reminder if that button was pressed."""
    context, container = load_context(pledge_id, token), current_container()
    try:
        subscriptions.cancel_pledge(
            container.database.transaction, container.gateway, context.pledge.id, clock=container.clock
        )
    except InvalidTransition:
        return context.redirect_back()
    except PaymentsUnavailable as error:
        with read_only() as session:
            context = load_pledge_context(session, pledge_id, token)
        # A stored cancellation request is completed later, so the supporter need not try again.
        if not subscriptions.is_cancelling(context.pledge):
            return render_gateway_error(context, error, operation="cancel")
    except DomainError as error:
        return render_gateway_error(context, error, operation="cancel")
    if request.form.get("then") == "remind" and _may_remind(context):
        return context.redirect_back(done="reminded", due_on=_create_reminder(context))
    return context.redirect_back(done="ended" if not subscriptions.is_cancelling(context.pledge) else None)


@account_pledges.get("/me/pledges/<uuid:pledge_id>/amount")
@account_pledges.get("/p/<token>/amount")
def show_amount_form(pledge_id: uuid.UUID | None = None, token: str | None = None) -> BaseResponse:
    """Show the form for a new amount, with its limits."""
    context = load_context(pledge_id, token)
    if not subscriptions.is_recurring_active(context.pledge) or subscriptions.is_cancelling(context.pledge):
        return context.redirect_back()
    return _render_amount_form(context)


@account_pledges.post("/me/pledges/<uuid:pledge_id>/amount")
@account_pledges.post("/p/<token>/amount")
def change_amount(pledge_id: uuid.UUID | None = None, token: str | None = None) -> BaseResponse:
    """Change the amount from the next payment on."""
    context, container = load_context(pledge_id, token), current_container()
    if subscriptions.is_cancelling(context.pledge):
        return context.redirect_back()
    typed, pledge, lang = request.form.get("amount", ""), context.pledge, context.texts.lang
    preset_minor = parse_int(request.form.get("preset", ""))
    if not typed.strip() and preset_minor is None:
        return _render_amount_form(
            context, field_error=FieldError(field="amount", message=context.texts.me_amount_missing, status=422)
        )
    try:
        if typed.strip() or preset_minor is None:
            amount_minor = parse_amount(typed, currency=pledge.currency, lang=lang)
        else:
            amount_minor = preset_minor
        subscriptions.change_amount(
            container.database.transaction, container.gateway, pledge.id, amount_minor, lang=lang
        )
    except PaymentsUnavailable as error:
        with read_only() as session:
            context = load_pledge_context(session, pledge_id, token)
        # A stored change is completed later, and the pledge's page says so.
        if context.pledge.pending_amount_minor != amount_minor:
            return render_gateway_error(context, error, operation="amount")
        return context.redirect_back()
    except DomainError as error:
        field_error = _field_error(context, error)
        if field_error is None:
            return render_gateway_error(context, error, operation="amount")
        return _render_amount_form(context, typed=typed, field_error=field_error)
    return context.redirect_back(done="amount")


@route_for_account_and_link(account_pledges, "card", "POST")
def redirect_to_card_update(pledge_id: uuid.UUID | None = None, token: str | None = None) -> BaseResponse:
    """Redirect to the gateway's hosted page for a new payment method."""
    context, container = load_context(pledge_id, token), current_container()
    try:
        # The page about one card for everything is a signed-in supporter's.
        is_one_card = request.form.get("back") == "card" and token is None
        return_url = container.urls.public_url + ("/me/card" if is_one_card else context.return_url)
        url = subscriptions.payment_method_url(
            container.database.read_only,
            container.gateway,
            context.pledge,
            return_url=return_url,
            lang=context.texts.lang,
        )
    except DomainError as error:
        return render_gateway_error(context, error, operation="card")
    return redirect_to_gateway(
        url, context.texts, context.pledge.campaign, allowed=request.form.get("allowed", "")
    )


@dataclass(frozen=True, kw_only=True)
class AmountChoice:
    """A preset of the form for a new amount, its label, and the sentence about the next payment with it."""

    amount_minor: int
    label: str
    outcome: str


def _may_remind(context: PledgeContext) -> bool:
    return offers_reminders(context.pledge.campaign) and context.pledge.supporter_id is not None


def _create_reminder(context: PledgeContext) -> str | None:
    """Create a reminder of the same choice; return its date in ISO format, or None without a supporter."""
    container, pledge = current_container(), context.pledge
    if pledge.supporter_id is None:
        return None
    with transaction() as session:
        due_on = create_supporter_reminder(
            session,
            pledge.campaign,
            pledge.supporter_id,
            months=REMINDER_DELAY_MONTHS,
            frequency=pledge.frequency,
            amount_minor=pledge.amount_minor,
            currency=pledge.currency,
            lang=context.texts.lang,
            now=container.clock(),
            month_seconds=container.settings.month_seconds,
        )
    return due_on.isoformat()


def _render_amount_form(
    context: PledgeContext, *, typed: str = "", field_error: FieldError | None = None
) -> Response:
    pledge, texts = context.pledge, context.texts
    locale = resolve_locale(texts.lang)
    next_at = next_payment_at(pledge, now=current_container().clock())
    next_date = None if next_at is None else format_campaign_date(next_at, pledge, texts)
    choices: list[AmountChoice] = []
    try:
        limits = _limits(context)
        choices = _choices(context, next_date)
    except DomainError as error:
        # The campaign no longer offers this currency or frequency, so the page has an error and no form.
        limits, field_error = {}, _field_error(context, error)
    chosen = parse_int(request.form.get("preset", ""))
    if chosen is None:
        chosen = _smaller_amount(context) if request.args.get("to") == "less" else pledge.amount_minor
    response = render_page(
        "change_amount.html",
        texts,
        status=field_error.status if field_error else 200,
        campaign=pledge.campaign,
        pledge_summary=format_pledge_summary(pledge, texts),
        frequency=pledge.frequency.value,
        covers_fees=pledge.fees_minor > 0,
        return_url=context.return_url,
        current_path=request.path,
        typed=typed,
        chosen=chosen,
        choices=choices,
        next_date=next_date,
        field_error=field_error,
        limits=limits,
        example=_example(context),
        currency_symbol=get_currency_symbol(pledge.currency, locale),
        symbol_is_after=locale.currency_formats["standard"].pattern.endswith("¤"),
    )
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def _choices(context: PledgeContext, next_date: str | None) -> list[AmountChoice]:
    """Return the presets of the pledge's campaign, and the present amount if it is none of them.

    Raises:
        CurrencyNotAccepted, FrequencyNotOffered: the campaign no longer offers this combination.
    """
    pledge, texts, gateway = context.pledge, context.texts, current_container().gateway
    presets = find_option(pledge.campaign, pledge.frequency, pledge.currency).presets_minor

    def choice(amount_minor: int) -> AmountChoice:
        total = subscriptions.total_charge_for(pledge, amount_minor, gateway)
        shown = format_money(total, texts.lang)
        return AmountChoice(
            amount_minor=amount_minor,
            label=format_money(Money(amount_minor, pledge.currency), texts.lang),
            outcome=texts.format("me_next_payment", amount=shown, date=next_date)
            if next_date
            else texts.format("me_amount_outcome", amount=shown),
        )

    return [choice(amount_minor) for amount_minor in sorted({*presets, pledge.amount_minor})]


def _smaller_amount(context: PledgeContext) -> int | None:
    """Return the smaller amount that a reader who wants to cancel may give instead, or None."""
    pledge = context.pledge
    try:
        return subscriptions.smaller_amount(pledge, current_container().gateway)
    except DomainError:
        # The campaign no longer offers this currency or frequency.
        return None


def _smaller_summary(context: PledgeContext) -> str | None:
    pledge, smaller = context.pledge, _smaller_amount(context)
    if smaller is None:
        return None
    return format_pledge(context.texts, pledge.frequency, Money(smaller, pledge.currency))


def _field_error(context: PledgeContext, error: DomainError) -> FieldError | None:
    """Return the form error for a rejected amount; None if the error has another cause."""
    texts = context.texts
    if error.code == "unreadable_amount":
        message = texts.format("amount_invalid", example=_example(context))
    elif error.code in LIMIT_CODES:
        name = "me_amount_steps" if error.code == "amount_not_chargeable" else "me_amount_limits"
        message = texts.format(name, **_limits(context))
    elif error.code in UNAVAILABLE_CODES:
        return FieldError(field="form", message=texts.me_amount_not_offered, status=422)
    else:
        return None
    return FieldError(field="amount", message=message, status=422)


def _example(context: PledgeContext) -> str:
    """Return an example amount in the language's notation, with a fraction if the currency has one."""
    return format_input_amount(Money(EXAMPLE_MINOR, context.pledge.currency), context.texts.lang)


def _limits(context: PledgeContext) -> dict[str, str]:
    """Return the formatted `least` and `most` amounts and the `step` between amounts."""
    pledge, gateway = context.pledge, current_container().gateway
    least, most = subscriptions.amount_limits(pledge.campaign, gateway, pledge.frequency, pledge.currency)
    limits = {"least": least, "most": most, "step": gateway.charge_limits(pledge.currency).step_minor}
    return {
        name: format_money(Money(amount_minor, pledge.currency), context.texts.lang)
        for name, amount_minor in limits.items()
    }

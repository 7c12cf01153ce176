"""Another amount for a pledge that recurs: typed as the reader's language writes it, and never guessed."""

import uuid
from collections.abc import Callable
from typing import Any

from babel.numbers import get_currency_symbol
from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from service.domain.errors import DomainError, InvalidTransition, PaymentsUnavailable
from service.domain.money import Money, format_money, resolve_locale
from service.domain.money_input import parse_amount
from service.domain.notifications.receipts import receipt_number
from service.domain.pledges import subscriptions as subscriptions
from service.domain.pledges.queries import (
    PaymentWithRefunds,
    get_receipt_payment,
    payments_for,
    pledge_id_for_payment,
)
from service.domain.pledges.subscriptions import (
    amount_limits,
    is_cancelling,
    is_recurring_active,
    payment_method_url,
)
from service.domain.reminders.reminders import create_supporter_reminder
from service.pages.account import success_message
from service.pages.account_context import NotSignedIn, PledgeContext, load_pledge_context, render_gateway_error
from service.pages.account_view import build_pledge_card, format_campaign_date, format_pledge_summary
from service.pages.csrf import reject_cross_site_requests
from service.pages.form_errors import FieldError
from service.pages.formatting import format_input_amount
from service.pages.rendering import render_page
from service.web import check_rate_limit, current_container, read_only, transaction


def render_receipt(context: PledgeContext, paid: PaymentWithRefunds) -> Response:
    """Return the receipt of one payment; the newsroom's legal name and tax line are the campaign's."""
    pledge, texts, payment = context.pledge, context.texts, paid.payment
    campaign = pledge.campaign

    def write(minor: int) -> str:
        return format_money(Money(minor, payment.currency), texts.lang)

    # Fees were covered of this payment only if it is what is charged today: the amount may have changed since.
    fees = pledge.fees_minor if payment.amount_minor == pledge.amount_minor + pledge.fees_minor else 0
    details = [
        (texts.me_receipt_number, receipt_number(payment.id, payment.paid_at.year)),
        (texts.me_receipt_to, campaign.legal_name or campaign.name),
        (texts.me_receipt_date, format_campaign_date(payment.paid_at, pledge, texts)),
    ]
    if fees:
        details += [
            (texts.me_receipt_gift, write(payment.amount_minor - fees)),
            (texts.me_receipt_fees, write(fees)),
        ]
    totals = [(texts.me_receipt_total, write(payment.amount_minor))]
    if paid.refunded_minor:
        totals += [
            (texts.me_receipt_refunded, write(paid.refunded_minor)),
            (texts.me_receipt_remains, write(payment.amount_minor - paid.refunded_minor)),
        ]
    response = render_page(
        "receipt.html",
        texts,
        campaign=campaign,
        facts=details,
        sums=totals,
        tax_line=campaign.tax_line,
        is_a_test=payment.gateway == "sandbox",
        home=context.return_url,
    )
    response.headers["X-Robots-Tag"] = "noindex"
    return response


REMINDER_DELAY_MONTHS = 3

pledge_page = Blueprint("pledge_page", __name__)
pledge_page.before_request(reject_cross_site_requests)
pledge_page.register_error_handler(NotSignedIn, lambda _: redirect("/me", 303))


def route_for_account_and_link(action: str, method: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Serve a view for who is signed in and for who follows a mail's link."""

    def register(view: Callable[..., Any]) -> Callable[..., Any]:
        for rule in (f"/me/pledges/<uuid:pledge_id>/{action}", f"/p/<token>/{action}"):
            pledge_page.add_url_rule(rule, view_func=view, methods=[method])
        return view

    return register


def load_context(pledge_id: uuid.UUID | None, token: str | None) -> PledgeContext:
    """Return the place, and count the request if it is to change something."""
    if request.method == "POST":
        check_rate_limit("reader")
    with read_only() as session:
        return load_pledge_context(session, pledge_id, token)


@pledge_page.get("/p/<token>")
def show_pledge(token: str) -> Response:
    """Show one pledge to whoever holds the link of a mail about it; no address is shown."""
    with read_only() as session:
        context = load_pledge_context(session, None, token)
        paid = payments_for(session, [context.pledge.id])[context.pledge.id]
        card = build_pledge_card(
            context.pledge, paid, context.texts, base=context.base_url, receipts=context.receipts_url
        )
        response = render_page(
            "own_pledge.html",
            context.texts,
            form_targets=current_container().gateway.hosted_origins,
            campaign=context.pledge.campaign,
            card=card,
            done=success_message(context.texts),
        )
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@route_for_account_and_link("cancel", "GET")
def confirm_cancellation(pledge_id: uuid.UUID | None = None, token: str | None = None) -> BaseResponse:
    """Ask once, and offer a reminder; either answer ends the pledge."""
    context = load_context(pledge_id, token)
    if not is_recurring_active(context.pledge) or is_cancelling(context.pledge):
        return context.redirect_back()
    response = render_page(
        "end_pledge.html",
        context.texts,
        campaign=context.pledge.campaign,
        gift=format_pledge_summary(context.pledge, context.texts),
        home=context.return_url,
        here=request.path,
        offers_reminder=_may_remind(context),
    )
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@route_for_account_and_link("cancel", "POST")
def cancel_pledge(pledge_id: uuid.UUID | None = None, token: str | None = None) -> BaseResponse:
    """End the pledge, and set the reminder if that was the button."""
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
        # What is written down will be done: the reader need not come back for it.
        if not is_cancelling(context.pledge):
            return render_gateway_error(context, error)
    except DomainError as error:
        return render_gateway_error(context, error)
    if request.form.get("then") == "remind" and _may_remind(context):
        return context.redirect_back(done="reminded", due_on=_create_reminder(context))
    return context.redirect_back(done="ended" if not is_cancelling(context.pledge) else None)


@route_for_account_and_link("card", "POST")
def redirect_to_card_update(pledge_id: uuid.UUID | None = None, token: str | None = None) -> BaseResponse:
    """Lead to the gateway's own page, where the card is changed."""
    context, container = load_context(pledge_id, token), current_container()
    try:
        back_url = container.urls.public_url + context.return_url
        return redirect(
            payment_method_url(container.gateway, context.pledge, back_url=back_url, lang=context.texts.lang), 303
        )
    except DomainError as error:
        return render_gateway_error(context, error, about_card=True)


@pledge_page.get("/me/receipts/<uuid:payment_id>")
def show_receipt(payment_id: uuid.UUID) -> Response:
    """Show the receipt of a payment to the reader whose it is."""
    with read_only() as session:
        context = load_pledge_context(session, pledge_id_for_payment(session, payment_id), None)
        return render_receipt(context, get_receipt_payment(session, payment_id, context.pledge))


@pledge_page.get("/p/<token>/receipts/<uuid:payment_id>")
def show_receipt_by_link(token: str, payment_id: uuid.UUID) -> Response:
    """Show a receipt to whoever holds the link of a mail about its pledge."""
    with read_only() as session:
        context = load_pledge_context(session, None, token)
        return render_receipt(context, get_receipt_payment(session, payment_id, context.pledge))


def _may_remind(context: PledgeContext) -> bool:
    return context.pledge.campaign.reminder_enabled and context.pledge.supporter_id is not None


def _create_reminder(context: PledgeContext) -> str | None:
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


EXAMPLE_MINOR = 750
LIMIT_CODES = ("amount_below_minimum", "amount_above_maximum", "amount_not_chargeable")
UNAVAILABLE_CODES = ("frequency_not_offered", "currency_not_accepted")

pledge_amount = Blueprint("pledge_amount", __name__)
pledge_amount.before_request(reject_cross_site_requests)
pledge_amount.register_error_handler(NotSignedIn, lambda _: redirect("/me", 303))


@pledge_amount.get("/me/pledges/<uuid:pledge_id>/amount")
@pledge_amount.get("/p/<token>/amount")
def show_amount_form(pledge_id: uuid.UUID | None = None, token: str | None = None) -> BaseResponse:
    """Ask for the new amount and say its limits."""
    context = load_context(pledge_id, token)
    if not is_recurring_active(context.pledge) or is_cancelling(context.pledge):
        return context.redirect_back()
    return _render(context)


@pledge_amount.post("/me/pledges/<uuid:pledge_id>/amount")
@pledge_amount.post("/p/<token>/amount")
def change_amount(pledge_id: uuid.UUID | None = None, token: str | None = None) -> BaseResponse:
    """Take the new amount from the next payment on."""
    context, container = load_context(pledge_id, token), current_container()
    if is_cancelling(context.pledge):
        return context.redirect_back()
    typed, pledge, lang = request.form.get("amount", ""), context.pledge, context.texts.lang
    if not typed.strip():
        return _render(
            context, said=FieldError(field="amount", message=context.texts.me_amount_missing, status=422)
        )
    try:
        amount = parse_amount(typed, currency=pledge.currency, lang=lang)
        subscriptions.change_amount(
            container.database.transaction, container.gateway, pledge.id, amount, lang=lang
        )
    except PaymentsUnavailable as error:
        with read_only() as session:
            context = load_pledge_context(session, pledge_id, token)
        # What is written down will be done, and the page says so: the reader need not come back for it.
        if context.pledge.pending_amount_minor != amount:
            return render_gateway_error(context, error)
        return context.redirect_back()
    except DomainError as error:
        said = _field_error(context, error, typed)
        return render_gateway_error(context, error) if said is None else _render(context, typed=typed, said=said)
    return context.redirect_back(done="amount")


def _field_error(context: PledgeContext, error: DomainError, typed: str) -> FieldError | None:
    """Return what is wrong with what was typed; None if it is not that."""
    texts = context.texts
    if error.code == "unreadable_amount":
        sentence = texts.format("unreadable_amount", typed=typed.strip(), example=_example(context))
    elif error.code in LIMIT_CODES:
        sentence = texts.format("me_amount_limits", **_limits(context))
    elif error.code in UNAVAILABLE_CODES:
        return FieldError(field="form", message=texts.me_amount_not_offered, status=422)
    else:
        return None
    return FieldError(field="amount", message=sentence, status=422)


def _example(context: PledgeContext) -> str:
    """Return an amount as this language's readers type it: one with a fraction, where the currency has any."""
    return format_input_amount(Money(EXAMPLE_MINOR, context.pledge.currency), context.texts.lang)


def _limits(context: PledgeContext) -> dict[str, str]:
    pledge, gateway = context.pledge, current_container().gateway
    least, most = amount_limits(pledge.campaign, gateway, pledge.frequency, pledge.currency)
    named = {"least": least, "most": most, "step": gateway.charge_limits(pledge.currency).step_minor}
    return {name: format_money(Money(minor, pledge.currency), context.texts.lang) for name, minor in named.items()}


def _render(context: PledgeContext, *, typed: str = "", said: FieldError | None = None) -> Response:
    pledge, texts = context.pledge, context.texts
    locale = resolve_locale(texts.lang)
    try:
        limits = _limits(context)
    except DomainError as error:
        # Nothing like it is offered any more, so there is nothing to type either.
        limits, said = {}, _field_error(context, error, typed)
    response = render_page(
        "new_amount.html",
        texts,
        status=said.status if said else 200,
        campaign=pledge.campaign,
        gift=format_pledge_summary(pledge, texts),
        frequency=pledge.frequency.value,
        covers_fees=pledge.fees_minor > 0,
        home=context.return_url,
        here=request.path,
        typed=typed,
        said=said,
        limits=limits,
        example=_example(context),
        mark=get_currency_symbol(pledge.currency, locale),
        mark_is_after=locale.currency_formats["standard"].pattern.endswith("¤"),
    )
    response.headers["X-Robots-Tag"] = "noindex"
    return response

"""Another amount for a pledge that recurs: typed as the reader's language writes it, and never guessed."""

import uuid

from babel.numbers import get_currency_symbol
from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from service.domain.errors import DomainError, PaymentsUnavailable
from service.domain.money import Money, format_money, parse_amount, resolve_locale
from service.domain.pledges import subscriptions as subscriptions
from service.domain.pledges.subscriptions import amount_limits, is_cancelling, is_recurring_active
from service.pages.complaints import FieldError
from service.pages.gifts import format_input_amount
from service.pages.own_place import NotSignedIn, PledgeContext, load_pledge_context, render_gateway_error
from service.pages.pledge_page import load_context
from service.pages.pledge_view import format_pledge_summary
from service.pages.same_site import reject_cross_site_requests
from service.pages.sheet import render_page
from service.web import current_container, read_only

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
        if context.pledge.wanted_minor != amount:
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

"""One pledge, as its reader minds it: its end in two clicks, another amount, another card, and its receipts.

The same pages stand under `/me/pledges/…` for who is signed in and under `/p/…` for who follows a mail's link.
"""

import uuid
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from service.domain.errors import DomainError, InvalidTransition, PaymentsUnavailable
from service.domain.pledges import subscriptions as subscriptions
from service.domain.pledges.queries import get_receipt_payment, payments_for, pledge_id_for_payment
from service.domain.pledges.subscriptions import is_cancelling, is_recurring_active, payment_method_url
from service.domain.reminders.reminders import create_supporter_reminder
from service.pages.own_place import NotSignedIn, PledgeContext, load_pledge_context, render_gateway_error
from service.pages.own_support import success_message
from service.pages.pledge_view import build_pledge_card, format_pledge_summary
from service.pages.receipt import render_receipt
from service.pages.same_site import reject_cross_site_requests
from service.pages.sheet import render_page
from service.web import check_rate_limit, current_container, read_only, transaction

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

"""One pledge, as its reader minds it: its end in two clicks, another amount, another card, and its receipts.

The same pages stand under `/me/pledges/…` for who is signed in and under `/p/…` for who follows a mail's link.
"""

import uuid
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from service.domain.errors import DomainError, InvalidTransition, PaymentsUnavailable
from service.domain.pledges.changing import cancel_pledge, is_cancelling, is_recurring_active, payment_method_url
from service.domain.pledges.own_gifts import get_receipt_payment, payments_for, pledge_id_for_payment
from service.domain.reminders.own_page import create_supporter_reminder
from service.pages.own_place import NotSignedIn, Place, draw_trouble, find_place
from service.pages.own_support import done_said
from service.pages.pledge_view import pledge_card, say_pledge
from service.pages.receipt import draw_receipt
from service.pages.same_site import refuse_other_sites
from service.pages.sheet import sheet
from service.web import check_rate_limit, current_container, read_only, transaction

MONTHS_UNTIL_REMINDED = 3

pledge_page = Blueprint("pledge_page", __name__)
pledge_page.before_request(refuse_other_sites)
pledge_page.register_error_handler(NotSignedIn, lambda _: redirect("/me", 303))


def at_both(action: str, method: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Serve a view for who is signed in and for who follows a mail's link."""

    def register(view: Callable[..., Any]) -> Callable[..., Any]:
        for rule in (f"/me/pledges/<uuid:pledge_id>/{action}", f"/p/<token>/{action}"):
            pledge_page.add_url_rule(rule, view_func=view, methods=[method])
        return view

    return register


def place_of(pledge_id: uuid.UUID | None, token: str | None) -> Place:
    """Return the place, and count the request if it is to change something."""
    if request.method == "POST":
        check_rate_limit("reader")
    with read_only() as session:
        return find_place(session, pledge_id, token)


@pledge_page.get("/p/<token>")
def show_pledge(token: str) -> Response:
    """Show one pledge to whoever holds the link of a mail about it; no address is shown."""
    with read_only() as session:
        place = find_place(session, None, token)
        paid = payments_for(session, [place.pledge.id])[place.pledge.id]
        card = pledge_card(place.pledge, paid, place.words, base=place.base, receipts=place.receipts)
        response = sheet(
            "own_pledge.html",
            place.words,
            leads_to=current_container().gateway.hosted_origins,
            campaign=place.pledge.campaign,
            card=card,
            done=done_said(place.words),
        )
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@at_both("cancel", "GET")
def ask_about_end(pledge_id: uuid.UUID | None = None, token: str | None = None) -> BaseResponse:
    """Ask once, and offer a reminder; either answer ends the pledge."""
    place = place_of(pledge_id, token)
    if not is_recurring_active(place.pledge) or is_cancelling(place.pledge):
        return place.back()
    response = sheet(
        "end_pledge.html",
        place.words,
        campaign=place.pledge.campaign,
        gift=say_pledge(place.pledge, place.words),
        home=place.home,
        here=request.path,
        offers_reminder=_may_remind(place),
    )
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@at_both("cancel", "POST")
def end(pledge_id: uuid.UUID | None = None, token: str | None = None) -> BaseResponse:
    """End the pledge, and set the reminder if that was the button."""
    place, container = place_of(pledge_id, token), current_container()
    try:
        cancel_pledge(container.database.transaction, container.gateway, place.pledge.id, clock=container.clock)
    except InvalidTransition:
        return place.back()
    except PaymentsUnavailable as error:
        with read_only() as session:
            place = find_place(session, pledge_id, token)
        # What is written down will be done: the reader need not come back for it.
        if not is_cancelling(place.pledge):
            return draw_trouble(place, error)
    except DomainError as error:
        return draw_trouble(place, error)
    if request.form.get("then") == "remind" and _may_remind(place):
        return place.back(done="reminded", due_on=_remind(place))
    return place.back(done="ended" if not is_cancelling(place.pledge) else None)


@at_both("card", "POST")
def open_card_page(pledge_id: uuid.UUID | None = None, token: str | None = None) -> BaseResponse:
    """Lead to the gateway's own page, where the card is changed."""
    place, container = place_of(pledge_id, token), current_container()
    try:
        back_url = container.urls.public_url + place.home
        return redirect(
            payment_method_url(container.gateway, place.pledge, back_url=back_url, lang=place.words.lang), 303
        )
    except DomainError as error:
        return draw_trouble(place, error, about_card=True)


@pledge_page.get("/me/receipts/<uuid:payment_id>")
def show_receipt(payment_id: uuid.UUID) -> Response:
    """Show the receipt of a payment to the reader whose it is."""
    with read_only() as session:
        place = find_place(session, pledge_id_for_payment(session, payment_id), None)
        return draw_receipt(place, get_receipt_payment(session, payment_id, place.pledge))


@pledge_page.get("/p/<token>/receipts/<uuid:payment_id>")
def show_receipt_of_link(token: str, payment_id: uuid.UUID) -> Response:
    """Show a receipt to whoever holds the link of a mail about its pledge."""
    with read_only() as session:
        place = find_place(session, None, token)
        return draw_receipt(place, get_receipt_payment(session, payment_id, place.pledge))


def _may_remind(place: Place) -> bool:
    return place.pledge.campaign.reminder_enabled and place.pledge.supporter_id is not None


def _remind(place: Place) -> str | None:
    container, pledge = current_container(), place.pledge
    if pledge.supporter_id is None:
        return None
    with transaction() as session:
        due_on = create_supporter_reminder(
            session,
            pledge.campaign,
            pledge.supporter_id,
            months=MONTHS_UNTIL_REMINDED,
            frequency=pledge.frequency,
            amount_minor=pledge.amount_minor,
            currency=pledge.currency,
            lang=place.words.lang,
            now=container.clock(),
            month_seconds=container.settings.month_seconds,
        )
    return due_on.isoformat()

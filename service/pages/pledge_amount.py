"""Another amount for a pledge that recurs: typed as the reader's language writes it, and never guessed."""

import uuid

from babel.numbers import get_currency_symbol
from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from service.domain.errors import DomainError, PaymentsUnavailable
from service.domain.money.amounts import Money, format_money, parse_amount
from service.domain.money.currencies import resolve_locale
from service.domain.pledges.changing import is_cancelling, is_recurring_active
from service.domain.pledges.new_amount import amount_limits, change_amount
from service.pages.complaints import Said
from service.pages.gifts import typed_form
from service.pages.own_place import NotSignedIn, Place, draw_trouble, find_place
from service.pages.pledge_page import place_of
from service.pages.pledge_view import say_pledge
from service.pages.same_site import refuse_other_sites
from service.pages.sheet import sheet
from service.web import current_container, read_only

EXAMPLE_MINOR = 750
OUT_OF_LIMITS = ("amount_below_minimum", "amount_above_maximum", "amount_not_chargeable")
NOT_OFFERED = ("frequency_not_offered", "currency_not_accepted")

pledge_amount = Blueprint("pledge_amount", __name__)
pledge_amount.before_request(refuse_other_sites)
pledge_amount.register_error_handler(NotSignedIn, lambda _: redirect("/me", 303))


@pledge_amount.get("/me/pledges/<uuid:pledge_id>/amount")
@pledge_amount.get("/p/<token>/amount")
def show_amount(pledge_id: uuid.UUID | None = None, token: str | None = None) -> BaseResponse:
    """Ask for the new amount and say its limits."""
    place = place_of(pledge_id, token)
    if not is_recurring_active(place.pledge) or is_cancelling(place.pledge):
        return place.back()
    return _draw(place)


@pledge_amount.post("/me/pledges/<uuid:pledge_id>/amount")
@pledge_amount.post("/p/<token>/amount")
def set_amount(pledge_id: uuid.UUID | None = None, token: str | None = None) -> BaseResponse:
    """Take the new amount from the next payment on."""
    place, container = place_of(pledge_id, token), current_container()
    if is_cancelling(place.pledge):
        return place.back()
    typed, pledge, lang = request.form.get("amount", ""), place.pledge, place.words.lang
    if not typed.strip():
        return _draw(place, said=Said(field="amount", sentence=place.words.me_amount_missing, status=422))
    try:
        amount = parse_amount(typed, currency=pledge.currency, lang=lang)
        change_amount(container.database.transaction, container.gateway, pledge.id, amount, lang=lang)
    except PaymentsUnavailable as error:
        with read_only() as session:
            place = find_place(session, pledge_id, token)
        # What is written down will be done, and the page says so: the reader need not come back for it.
        if place.pledge.wanted_minor != amount:
            return draw_trouble(place, error)
        return place.back()
    except DomainError as error:
        said = _say(place, error, typed)
        return draw_trouble(place, error) if said is None else _draw(place, typed=typed, said=said)
    return place.back(done="amount")


def _say(place: Place, error: DomainError, typed: str) -> Said | None:
    """Return what is wrong with what was typed; None if it is not that."""
    words = place.words
    if error.code == "unreadable_amount":
        sentence = words.fill("unreadable_amount", typed=typed.strip(), example=_example(place))
    elif error.code in OUT_OF_LIMITS:
        sentence = words.fill("me_amount_limits", **_limits(place))
    elif error.code in NOT_OFFERED:
        return Said(field="form", sentence=words.me_amount_not_offered, status=422)
    else:
        return None
    return Said(field="amount", sentence=sentence, status=422)


def _example(place: Place) -> str:
    """Return an amount as this language's readers type it: one with a fraction, where the currency has any."""
    return typed_form(Money(EXAMPLE_MINOR, place.pledge.currency), place.words.lang)


def _limits(place: Place) -> dict[str, str]:
    pledge, gateway = place.pledge, current_container().gateway
    least, most = amount_limits(pledge.campaign, gateway, pledge.frequency, pledge.currency)
    named = {"least": least, "most": most, "step": gateway.charge_limits(pledge.currency).step_minor}
    return {name: format_money(Money(minor, pledge.currency), place.words.lang) for name, minor in named.items()}


def _draw(place: Place, *, typed: str = "", said: Said | None = None) -> Response:
    pledge, words = place.pledge, place.words
    locale = resolve_locale(words.lang)
    try:
        limits = _limits(place)
    except DomainError as error:
        # Nothing like it is offered any more, so there is nothing to type either.
        limits, said = {}, _say(place, error, typed)
    response = sheet(
        "new_amount.html",
        words,
        status=said.status if said else 200,
        campaign=pledge.campaign,
        gift=say_pledge(pledge, words),
        frequency=pledge.frequency.value,
        covers_fees=pledge.fees_minor > 0,
        home=place.home,
        here=request.path,
        typed=typed,
        said=said,
        limits=limits,
        example=_example(place),
        mark=get_currency_symbol(pledge.currency, locale),
        mark_is_after=locale.currency_formats["standard"].pattern.endswith("¤"),
    )
    response.headers["X-Robots-Tag"] = "noindex"
    return response

"""The page after the checkout: thanks, or an honest word on where the gift stands."""

import uuid

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from schemas.enums import PledgeStatus
from service.domain.errors import PledgeNotFound
from service.domain.money import Money, format_money
from service.domain.pledges.attribution import attribution_token_for
from service.domain.pledges.pledges import get_pledge
from service.domain.pledges.return_urls import source_page_url, success_url
from service.pages.formatting import format_pledge
from service.pages.rendering import render_page
from service.pages.translations import texts_for_campaign
from service.web import current_container, read_only

# A gift that is being given; one that waits, and the rest, each have a page of their own.
PAID_STATUSES = (PledgeStatus.COMPLETED, PledgeStatus.ACTIVE, PledgeStatus.PAST_DUE)

# How soon the page looks again for a payment that is being confirmed, and how often before it gives up.
REFRESH_SECONDS = 3
MAX_REFRESHES = 20
CONFIRMING = "confirming"

thank_you = Blueprint("thank_you", __name__)


@thank_you.get("/support/<slug>/thank-you")
def show_thank_you(slug: str) -> BaseResponse:
    """Say what was given, by the pledge's id, or that nothing was yet.

    Who comes from a checkout that they went through may be here before the gateway has told us.
    """
    links = current_container().urls
    with read_only() as session:
        pledge = get_pledge(session, _pledge_id())
        if pledge.campaign.slug != slug:
            raise PledgeNotFound("There is no pledge with this id.")
        texts = texts_for_campaign(pledge.campaign, pledge.lang)
        money = Money(pledge.amount_minor, pledge.currency)
        is_done = request.args.get("checkout") == "done"
        here = links.thank_you_url(pledge.campaign, pledge.id)
        if is_done and pledge.status in PAID_STATUSES and (onward := success_url(pledge, links)) != here:
            return redirect(onward, 303)
        confirming = _confirming() if is_done and pledge.status == PledgeStatus.PENDING else None
        response = render_page(
            "thank_you.html",
            texts,
            campaign=pledge.campaign,
            state=confirming or ("given" if pledge.status in PAID_STATUSES else pledge.status.value),
            frequency=pledge.frequency.value,
            amount=format_money(money, texts.lang),
            gift=format_pledge(texts, pledge.frequency, money),
            here=links.checkout_return_url(pledge.campaign, pledge.id) if confirming else here,
            checkout_url=pledge.checkout_url,
            again_url=links.support_page_url(
                pledge.campaign,
                pledge.frequency,
                pledge.amount_minor,
                attribution_token_for(session, current_container().database.keyring, pledge),
                currency=pledge.currency,
            ),
            page_before=source_page_url(pledge, links),
            is_a_test=pledge.gateway == "sandbox",
        )
        if confirming == CONFIRMING:
            page = links.checkout_return_url(pledge.campaign, pledge.id)
            onward = f"{page}&looks={_refresh_count() + 1}&lang={texts.lang}"
            # A header and no script or tag: it works everywhere, and stops by itself.
            response.headers["Refresh"] = f"{REFRESH_SECONDS}; url={onward}"
        return response


def _confirming() -> str:
    """Return whether a payment that is being confirmed has been so for longer than usual."""
    return CONFIRMING if _refresh_count() < MAX_REFRESHES else f"{CONFIRMING}_long"


def _refresh_count() -> int:
    looks = request.args.get("looks", "")
    return min(int(looks), MAX_REFRESHES) if looks.isascii() and looks.isdigit() and len(looks) < 4 else 0


def _pledge_id() -> uuid.UUID:
    try:
        return uuid.UUID(request.args.get("pledge", ""))
    except ValueError as error:
        raise PledgeNotFound("There is no pledge with this id.") from error

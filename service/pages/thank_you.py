"""The thank-you page after a checkout, which shows the pledge's current status."""

import uuid

from flask import Blueprint, redirect, request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from schemas.enums import PledgeStatus
from service.db.models.pledge import Pledge
from service.domain.email.capabilities import is_supported_address
from service.domain.errors import PledgeNotFound
from service.domain.money import Money, format_money
from service.domain.pledges.attribution import attribution_token_for
from service.domain.pledges.pledges import get_pledge, is_bounced
from service.domain.pledges.queries import other_recurring_pledge, pledges_for_supporter
from service.domain.pledges.return_urls import source_page_url, success_url
from service.domain.pledges.subscriptions import is_recurring_active
from service.domain.supporters import get_address
from service.pages.account_view import format_campaign_date
from service.pages.formatting import format_pledge
from service.pages.rendering import render_page
from service.pages.session_cookie import current_supporter_id
from service.pages.translations import Texts, texts_for_campaign
from service.web import current_container, read_only

# A pledge in one of these gets thanks; every other status has its own text.
PAID_STATUSES = (PledgeStatus.COMPLETED, PledgeStatus.ACTIVE, PledgeStatus.PAST_DUE)

# The page reloads itself while the gateway confirms a payment, at this interval and at most so often.
REFRESH_SECONDS = 3
MAX_REFRESHES = 20
CONFIRMING = "confirming"

thank_you = Blueprint("thank_you", __name__)


@thank_you.get("/support/<slug>/thank-you")
def show_thank_you(slug: str) -> BaseResponse:
    """Show the status of the pledge in the query string.

    A reader may return from the checkout before the gateway's event arrives; the page then refreshes itself.

    Raises:
        PledgeNotFound: there is no such pledge in this campaign.
    """
    urls = current_container().urls
    with read_only() as session:
        pledge = get_pledge(session, _pledge_id())
        if pledge.campaign.slug != slug:
            raise PledgeNotFound("There is no pledge with this id.")
        texts = texts_for_campaign(pledge.campaign, pledge.lang)
        money = Money(pledge.amount_minor, pledge.currency)
        is_checkout_done = request.args.get("checkout") == "done"
        own_url = urls.thank_you_url(pledge.campaign, pledge.id)
        if (
            is_checkout_done
            and pledge.status in PAID_STATUSES
            and (next_url := success_url(pledge, urls)) != own_url
        ):
            return redirect(next_url, 303)
        return_url = urls.checkout_return_url(pledge.campaign, pledge.id)
        confirming = _confirming() if is_checkout_done and pledge.status == PledgeStatus.PENDING else None
        response = render_page(
            "thank_you.html",
            texts,
            campaign=pledge.campaign,
            state=confirming or _state(pledge),
            frequency=pledge.frequency.value,
            amount=format_money(money, texts.lang),
            pledge_summary=format_pledge(texts, pledge.frequency, money),
            current_url=return_url if confirming else own_url,
            new_pledge_url=urls.support_page_url(
                pledge.campaign,
                pledge.frequency,
                pledge.amount_minor,
                attribution_token_for(session, current_container().database.keyring, pledge),
                currency=pledge.currency,
            ),
            other_pledge=_other_pledge(session, pledge, texts),
            source_page_url=source_page_url(pledge, urls),
            has_no_email=_cannot_be_emailed(session, pledge),
            is_test=pledge.gateway == "sandbox",
        )
        if confirming == CONFIRMING:
            next_url = f"{return_url}&looks={_refresh_count() + 1}&lang={texts.lang}"
            # The header works without JavaScript and is gone once the payment is confirmed.
            response.headers["Refresh"] = f"{REFRESH_SECONDS}; url={next_url}"
        return response


def _other_pledge(session: Session, pledge: Pledge, texts: Texts) -> str | None:
    """Return what the reader should know if they give twice; None for a one-time pledge.

    Anyone may pay with the address of another. Only a reader who is signed in sees what else they give.
    """
    if not is_recurring_active(pledge):
        return None
    if pledge.supporter_id is None or current_supporter_id(session) != pledge.supporter_id:
        return texts.thanks_gives_already
    other = other_recurring_pledge(pledge, pledges_for_supporter(session, pledge.supporter_id))
    if other is None:
        return None
    return texts.format(
        "thanks_gives_twice",
        gift=format_pledge(texts, other.frequency, Money(other.amount_minor, other.currency)),
        date=format_campaign_date(other.created_at, other, texts),
    )


def _cannot_be_emailed(session: Session, pledge: Pledge) -> bool:
    """Whether our mail server cannot send to the address that was given at the checkout, which we do not show."""
    address = None if pledge.supporter_id is None else get_address(session, pledge.supporter_id)
    server = current_container().settings.mail.server_address
    return address is not None and not is_supported_address(session, address, server=server)


def _state(pledge: Pledge) -> str:
    """Return which text the page shows: the status, or `given` for one that is paid."""
    if pledge.status in PAID_STATUSES:
        return "given"
    return "bounced" if is_bounced(pledge) else pledge.status.value


def _confirming() -> str:
    """Return the page's state while the payment is confirmed; `confirming_long` after the last refresh."""
    return CONFIRMING if _refresh_count() < MAX_REFRESHES else f"{CONFIRMING}_long"


def _refresh_count() -> int:
    """Return how often the page has refreshed itself, at most `MAX_REFRESHES`."""
    count = request.args.get("looks", "")
    return min(int(count), MAX_REFRESHES) if count.isascii() and count.isdigit() and len(count) < 4 else 0


def _pledge_id() -> uuid.UUID:
    try:
        return uuid.UUID(request.args.get("pledge", ""))
    except ValueError as error:
        raise PledgeNotFound("There is no pledge with this id.") from error

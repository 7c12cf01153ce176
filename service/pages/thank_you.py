"""The page after the checkout: thanks, or an honest word on where the gift stands."""

import uuid

from flask import Blueprint, Response, request

from schemas.vocabulary import PledgeStatus
from service.domain.errors import PledgeNotFound
from service.domain.money.amounts import Money, format_money
from service.domain.pledges.conversions import came_from
from service.domain.pledges.making import find_pledge
from service.domain.pledges.ways_back import page_before
from service.pages.gifts import say_gift
from service.pages.language import words_for
from service.pages.sheet import sheet
from service.web import current_desk, reading

# A gift that is being given; one that waits, and the rest, each have a page of their own.
GIVEN = (PledgeStatus.COMPLETED, PledgeStatus.ACTIVE, PledgeStatus.PAST_DUE)

thank_you = Blueprint("thank_you", __name__)


@thank_you.get("/support/<slug>/thank-you")
def say_thank_you(slug: str) -> Response:
    """Say what was given, by the pledge's id, or that nothing was yet."""
    links = current_desk().links
    with reading() as session:
        pledge = find_pledge(session, _pledge_id())
        if pledge.campaign.slug != slug:
            raise PledgeNotFound("There is no pledge with this id.")
        words = words_for(pledge.campaign, pledge.lang)
        money = Money(pledge.amount_minor, pledge.currency)
        return sheet(
            "thank_you.html",
            words,
            campaign=pledge.campaign,
            state="given" if pledge.status in GIVEN else pledge.status.value,
            frequency=pledge.frequency.value,
            amount=format_money(money, words.lang),
            gift=say_gift(words, pledge.frequency, money),
            here=links.thank_you_page(pledge.campaign, pledge.id),
            checkout_url=pledge.checkout_url,
            again_url=links.gift_page(
                pledge.campaign,
                pledge.frequency,
                pledge.amount_minor,
                came_from(session, current_desk().database.keyring, pledge),
            ),
            page_before=page_before(pledge, links),
            is_a_test=pledge.gateway == "sandbox",
        )


def _pledge_id() -> uuid.UUID:
    try:
        return uuid.UUID(request.args.get("pledge", ""))
    except ValueError as error:
        raise PledgeNotFound("There is no pledge with this id.") from error

"""Where a reader goes from the checkout: only ever to a place that the newsroom listed, or to a page of ours."""

from urllib.parse import urlencode, urlsplit, urlunsplit

from service.db.models.campaign import Campaign
from service.db.models.pledge import Pledge
from service.domain.campaigns.origins import is_allowed_page, is_allowed_return_url, origin_of
from service.domain.urls import UrlBuilder


def success_url(pledge: Pledge, links: UrlBuilder) -> str:
    """Return the newsroom's own page, told which pledge it was and where it stands, else our thank-you page."""
    own_page = _return_page(pledge, pledge.campaign)
    return own_page or links.thank_you_url(pledge.campaign, pledge.id)


def cancel_url(pledge: Pledge, campaign: Campaign, links: UrlBuilder) -> str:
    """Return the page that the reader came from, if the newsroom lists it, else our support page."""
    support_page = links.support_page_url(
        campaign, pledge.frequency, pledge.amount_minor, currency=pledge.currency
    )
    return _return_page(pledge, campaign) or _page_before(pledge, campaign, links) or support_page


def source_page_url(pledge: Pledge, links: UrlBuilder) -> str | None:
    """Return the page that the reader gave from, if the newsroom lists it or it is ours."""
    return _page_before(pledge, pledge.campaign, links)


def _page_before(pledge: Pledge, campaign: Campaign, links: UrlBuilder) -> str | None:
    if pledge.page_url is None or not _is_allowed(campaign, pledge.page_url, links):
        return None
    return pledge.page_url


def _return_page(pledge: Pledge, campaign: Campaign) -> str | None:
    # The host was listed when the pledge was made; a newsroom that took it off the list since is obeyed.
    if pledge.return_url is None or not is_allowed_return_url(campaign, pledge.return_url):
        return None
    parts = urlsplit(pledge.return_url)
    told = urlencode({"pledge": str(pledge.id), "status": pledge.status.value})
    return urlunsplit(parts._replace(query=f"{parts.query}&{told}" if parts.query else told))


def _is_allowed(campaign: Campaign, url: str, links: UrlBuilder) -> bool:
    # A campaign that lets every site embed it has not named any, so it sends nobody to one.
    named = "*" not in campaign.origins and is_allowed_page(campaign, url, own=links.public_url)
    return named or is_allowed_return_url(campaign, url) or origin_of(url) == links.public_url

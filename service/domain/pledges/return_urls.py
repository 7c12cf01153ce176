"""Where the checkout sends a reader: only to a site that the newsroom lists, or to a page of this service."""

from urllib.parse import urlencode, urlsplit, urlunsplit

from service.db.models.campaign import Campaign
from service.db.models.pledge import Pledge
from service.domain.campaigns.origins import is_allowed_return_url, is_newsroom_page
from service.domain.urls import UrlBuilder


def success_url(pledge: Pledge, urls: UrlBuilder, token: str = "") -> str:
    """Return the newsroom's page, with the pledge's id and status in its query, else the thank-you page.

    `token` is for the browser that paid, see `pledges.links`.
    """
    return_page = _return_page(pledge, pledge.campaign)
    return return_page or urls.thank_you_url(pledge.campaign, pledge.id, token)


def cancel_url(pledge: Pledge, campaign: Campaign, urls: UrlBuilder) -> str:
    """Return the newsroom's page, else ours that says that nothing was charged and leads back."""
    return _return_page(pledge, campaign) or urls.not_charged_url(campaign, pledge.id)


def source_page_url(pledge: Pledge, urls: UrlBuilder) -> str | None:
    """Return the page that the pledge was made on, if the newsroom lists it or it is one of this service."""
    if pledge.page_url is None or not is_newsroom_page(pledge.campaign, pledge.page_url, own=urls.public_url):
        return None
    return pledge.page_url


def _return_page(pledge: Pledge, campaign: Campaign) -> str | None:
    # Checked again: the newsroom may have removed the host from its list since the pledge was made.
    if pledge.return_url is None or not is_allowed_return_url(campaign, pledge.return_url):
        return None
    parts = urlsplit(pledge.return_url)
    query = urlencode({"pledge": str(pledge.id), "status": pledge.status.value})
    return urlunsplit(parts._replace(query=f"{parts.query}&{query}" if parts.query else query))

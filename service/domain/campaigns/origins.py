"""The sites that may embed a campaign, and those that readers may be sent to."""

from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.web_origins import normalise_host, normalise_origin
from service.db.models.campaign import Campaign
from service.domain.errors import OriginNotAllowed


def allows_origin(campaign: Campaign, origin: str) -> bool:
    """Whether pages of this origin (RFC 6454, as `https://paper.example`) may embed the campaign."""
    return _matches(campaign.origins, origin)


def any_campaign_allows(session: Session, origin: str) -> bool:
    """Whether pages of this origin may embed any campaign at all."""
    return any(_matches(origins, origin) for origins in session.scalars(select(Campaign.origins)))


def validate_origin(campaign: Campaign, origin: str | None, *, own: str) -> None:
    """Check the origin of a request; this service's own pages (`own`), and clients without an origin, always pass.

    Raises:
        OriginNotAllowed: the campaign does not list this origin.
    """
    if origin is not None and origin != own and not allows_origin(campaign, origin):
        raise OriginNotAllowed("This site may not embed the campaign; add it to the campaign's origins.")


def origin_of(url: str) -> str:
    """Return a page's origin as browsers write it (RFC 6454): in lower case, without the default port."""
    parts = urlsplit(url)
    return normalise_origin(f"{parts.scheme}://{parts.netloc}")


def is_allowed_return_url(campaign: Campaign, url: str) -> bool:
    """Whether readers may be sent to this URL: its host is one of the campaign's `return_hosts`."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or parts.hostname is None:
        return False
    # A release before stored the hosts as they were typed.
    return normalise_host(parts.hostname) in map(normalise_host, campaign.return_hosts)


def is_newsroom_page(campaign: Campaign, url: str, *, own: str) -> bool:
    """Whether emails and pages may name this page: one of this service (`own` is its origin) or of the newsroom.

    A request can name any page. Of the newsroom are the origins that the campaign lists, its `return_hosts` and
    the host of its support page. `*`, which lets any site embed the campaign, makes no page the newsroom's.
    """
    origin = origin_of(url)
    listed = [each for each in campaign.origins if each != "*"]
    return (
        origin == own
        or _matches(listed, origin)
        or is_allowed_return_url(campaign, url)
        or (campaign.support_url is not None and origin == origin_of(campaign.support_url))
    )


def _matches(origins: list[str], origin: str) -> bool:
    # A release before stored the origins as they were typed.
    return "*" in origins or origin.lower() in map(normalise_origin, origins)

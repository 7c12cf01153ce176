"""The sites that may embed a campaign, and those that readers may be sent to."""

from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.db.models.campaign import Campaign
from service.domain.errors import OriginNotAllowed

DEFAULT_PORTS = {"http": 80, "https": 443}


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
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    is_default_port = parts.port is None or parts.port == DEFAULT_PORTS.get(parts.scheme)
    return f"{parts.scheme}://{host}" if is_default_port else f"{parts.scheme}://{host}:{parts.port}"


def is_allowed_return_url(campaign: Campaign, url: str) -> bool:
    """Whether readers may be sent to this URL: its host is one of the campaign's `return_hosts`."""
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and (parts.hostname or "").lower() in campaign.return_hosts


def is_allowed_page(campaign: Campaign, url: str, *, own: str) -> bool:
    """Whether a page is of this service (`own` is its origin) or of a site that may embed the campaign."""
    origin = origin_of(url)
    return origin == own or allows_origin(campaign, origin)


def _matches(origins: list[str], origin: str) -> bool:
    return "*" in origins or origin.lower() in origins

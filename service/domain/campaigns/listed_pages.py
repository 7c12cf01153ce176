"""Which pages a newsroom counts as its own, by what its campaign lists."""

from urllib.parse import urlsplit

from service.db.models.campaign import Campaign
from service.domain.campaigns.origins import allows_origin

DEFAULT_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> str:
    """Return a page's origin as browsers write it (RFC 6454): in lower case, without the usual port."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    usual = parts.port is None or parts.port == DEFAULT_PORTS.get(parts.scheme)
    return f"{parts.scheme}://{host}" if usual else f"{parts.scheme}://{host}:{parts.port}"


def is_allowed_return_url(campaign: Campaign, url: str) -> bool:
    """Whether readers may be sent to this page: its host is one of the campaign's `return_hosts`."""
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and (parts.hostname or "").lower() in campaign.return_hosts


def is_allowed_page(campaign: Campaign, url: str, *, own: str) -> bool:
    """Whether a page is ours (`own` is our origin) or on a site that may embed the campaign (`*`: every site)."""
    origin = origin_of(url)
    return origin == own or allows_origin(campaign, origin)

"""On whose pages a campaign may be embedded."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.db.models.campaign import Campaign
from service.domain.errors import OriginNotAllowed


def allows_origin(campaign: Campaign, origin: str) -> bool:
    """Whether pages of this origin (RFC 6454, as `https://paper.example`) may embed the campaign."""
    return _matches(campaign.origins, origin)


def any_campaign_allows(session: Session, origin: str) -> bool:
    """Whether pages of this origin may embed any campaign at all."""
    return any(_matches(origins, origin) for origins in session.scalars(select(Campaign.origins)))


def _matches(origins: list[str], origin: str) -> bool:
    return "*" in origins or origin.lower() in origins


def validate_origin(campaign: Campaign, origin: str | None, *, own: str) -> None:
    """Refuse a request from a page that the campaign does not list; our own pages and servers may always ask.

    Raises:
        OriginNotAllowed: the campaign must list this origin first.
    """
    if origin is not None and origin != own and not allows_origin(campaign, origin):
        raise OriginNotAllowed("This site may not embed the campaign; add it to the campaign's origins.")

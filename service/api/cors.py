"""Cross-origin access (CORS): a campaign lists the origins that may embed it. Credentials are never allowed.

A preflight request (Fetch standard, section 3.2) does not name a campaign, so it is allowed for an origin that any
campaign lists. The request that follows is checked against its own campaign.
"""

from flask import Blueprint, Response, g, make_response, request
from sqlalchemy.exc import SQLAlchemyError

from service.db.models.campaign import Campaign
from service.domain.campaigns.origins import allows_origin, any_campaign_allows, validate_origin
from service.domain.errors import OriginNotAllowed
from service.web import current_container, read_only

EXPOSE_HEADERS = "ETag, Idempotent-Replayed, Retry-After, X-Request-Id"
ALLOW_ANY_ORIGIN = [("Access-Control-Allow-Origin", "*"), ("Access-Control-Expose-Headers", EXPOSE_HEADERS)]
ALLOWED_HEADERS = "Content-Type, Idempotency-Key, If-None-Match"
ALLOWED_METHODS = "GET, POST, OPTIONS"
PREFLIGHT_SECONDS = "3600"


_blueprints: set[str] = set()


def enable_cors(blueprint: Blueprint) -> None:
    """Add CORS headers to every response of this blueprint, and answer its preflight requests."""
    _blueprints.add(blueprint.name)
    blueprint.after_request(_add_cors_headers)


def load_embeddable_campaign(slug: str) -> Campaign:
    """Return the campaign if the request's origin may embed it.

    Raises:
        CampaignNotFound: there is no such campaign.
        OriginNotAllowed: the campaign does not list the origin.
    """
    campaign = current_container().campaign_cache.get(slug)
    require_allowed_origin(campaign)
    return campaign


def require_allowed_origin(campaign: Campaign) -> None:
    """Check that the request's origin may embed this campaign, and remember the campaign for the CORS headers.

    Raises:
        OriginNotAllowed: the campaign does not list the origin.
    """
    g.campaign = campaign
    validate_origin(campaign, request.headers.get("Origin"), own=current_container().urls.public_url)


def answer_preflight() -> Response | None:
    """Return the response to a preflight request for a public route that exists; None for any other request."""
    if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
        return None
    if request.blueprint not in _blueprints:
        return None
    response = make_response("", 204)
    _add_cors_headers(response)
    if "Access-Control-Allow-Origin" in response.headers:
        response.headers["Access-Control-Allow-Methods"] = ALLOWED_METHODS
        response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
        response.headers["Access-Control-Max-Age"] = PREFLIGHT_SECONDS
    return response


def _add_cors_headers(response: Response) -> Response:
    campaign: Campaign | None = g.get("campaign")
    if campaign is not None and "*" in campaign.origins:
        response.headers.extend(ALLOW_ANY_ORIGIN)
        return response
    response.vary.add("Origin")
    if g.get("problem_code") == OriginNotAllowed.code:
        # The refusal holds nothing, and a box on a page that was allowed before can say what happened.
        response.headers.extend(ALLOW_ANY_ORIGIN)
        return response
    origin = request.headers.get("Origin")
    if origin is None:
        return response
    try:
        is_allowed = allows_origin(campaign, origin) if campaign else _allowed_by_any_campaign(origin)
    except SQLAlchemyError:
        # Nothing but an error is sent without a database, and a box can say when to try again.
        response.headers.extend(ALLOW_ANY_ORIGIN)
        return response
    if is_allowed:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = EXPOSE_HEADERS
    return response


def _allowed_by_any_campaign(origin: str) -> bool:
    with read_only() as session:
        return any_campaign_allows(session, origin)

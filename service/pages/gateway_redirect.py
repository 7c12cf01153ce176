"""Lead readers from a form of ours to a page of the payment gateway.

Browsers apply the policy `form-action` also to the redirects that follow a form. The gateway's pages may be on a
domain of the newsroom's, which is known only after the form was sent.
"""

from flask import redirect
from werkzeug.wrappers import Response as BaseResponse

from service.db.models.campaign import Campaign
from service.domain.urls import origin_of
from service.pages.rendering import render_page
from service.pages.translations import Texts
from service.web import current_container


def gateway_origins() -> tuple[str, ...]:
    """Return the origins that a form may redirect to, as far as they are known; see `render_page`."""
    custom = custom_origin()
    return (*current_container().gateway.hosted_origins, *([custom] if custom else []))


def custom_origin() -> str:
    """Return the origin of the newsroom's domain at the gateway; empty if none is known."""
    container = current_container()
    hosted = container.gateway.hosted_origins
    # A gateway without pages of its own leads to ours.
    latest = container.checkout_origins.latest() if hosted else None
    return "" if latest is None or latest in hosted else latest


def redirect_to_gateway(url: str, texts: Texts, campaign: Campaign, *, allowed: str) -> BaseResponse:
    """Redirect to a page of the gateway, or answer with a page that leads there.

    `allowed` is the custom origin that the page of the form allowed. The response is a page if `url` is at another
    one: the policy of a form does not apply to a page that follows it.
    """
    container = current_container()
    origin = origin_of(url)
    if origin in (origin_of(container.urls.public_url), *container.gateway.hosted_origins, allowed):
        return redirect(url, 303)
    response = render_page("gateway_redirect.html", texts, campaign=campaign, url=url)
    # The header works without JavaScript.
    response.headers["Refresh"] = f"0; url={url}"
    return response

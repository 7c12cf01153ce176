"""Where a reader changes a pledge: on their own page, signed in, or by the link of a mail about that pledge."""

import uuid
from dataclasses import dataclass

from flask import Response, redirect, request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from service.db.models.pledge import Pledge
from service.domain.errors import DomainError
from service.domain.pledges.links import get_pledge_by_token
from service.domain.pledges.queries import get_supporter_pledge
from service.domain.pledges.subscriptions import SANDBOX_GATEWAY
from service.pages.api_docs import http_status_for
from service.pages.rendering import render_page
from service.pages.session_cookie import current_supporter_id
from service.pages.translations import Texts, texts_for_campaign
from service.web import current_container


class NotSignedIn(Exception):
    """The session is over, or there was none."""


@dataclass(frozen=True, kw_only=True)
class PledgeContext:
    """One pledge as its reader came to it: `base_url` is where it is changed, `return_url` the page with all of
    it.
    """

    pledge: Pledge
    texts: Texts
    base_url: str
    return_url: str
    receipts_url: str

    def redirect_back(self, **said: str | None) -> BaseResponse:
        """Lead to the page with all of it, in the same language; `said` tells what was done."""
        told = {name: value for name, value in (*said.items(), ("lang", request.args.get("lang"))) if value}
        query = "&".join(f"{name}={value}" for name, value in told.items() if value.replace("-", "").isalnum())
        return redirect(f"{self.return_url}?{query}" if query else self.return_url, 303)


def load_pledge_context(session: Session, pledge_id: uuid.UUID | None, token: str | None) -> PledgeContext:
    """Return the pledge of a mail's link, or the signed-in reader's own with this id.

    Raises:
        NotSignedIn: there is neither a link nor a session.
        PledgeNotFound: the link is no good, or the pledge is not theirs.
    """
    if token is not None:
        pledge = get_pledge_by_token(session, token, now=current_container().clock())
        base = home = f"/p/{token}"
    else:
        supporter_id = current_supporter_id(session)
        if supporter_id is None or pledge_id is None:
            raise NotSignedIn
        pledge = get_supporter_pledge(session, pledge_id, supporter_id)
        base, home = f"/me/pledges/{pledge.id}", "/me"
    receipts = f"{base}/receipts" if token is not None else "/me/receipts"
    texts = texts_for_campaign(pledge.campaign, pledge.lang)
    return PledgeContext(pledge=pledge, texts=texts, base_url=base, return_url=home, receipts_url=receipts)


def render_gateway_error(context: PledgeContext, error: DomainError, *, about_card: bool = False) -> Response:
    """Return a page that says what the gateway or the rules refused, and leads back."""
    name = "no_card" if about_card and context.pledge.gateway == SANDBOX_GATEWAY else error.code
    if f"me_trouble_{name}" not in context.texts:
        raise error
    response = render_page(
        "order_trouble.html",
        context.texts,
        status=http_status_for(error),
        campaign=context.pledge.campaign,
        title=context.texts[f"me_trouble_{name}_title"],
        message=context.texts[f"me_trouble_{name}"],
        home=context.return_url,
    )
    response.headers["X-Robots-Tag"] = "noindex"
    if error.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response

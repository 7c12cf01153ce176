"""The pledge that an account page acts on, reached by a session or by the link in an email.

Each action has two routes: `/me/pledges/<id>/…` for a signed-in supporter, and `/p/<token>/…` for the link.
"""

import datetime
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from flask import Blueprint, Response, redirect, request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from schemas.enums import Frequency
from service.db.models.pledge import Pledge
from service.domain.errors import DomainError, PaymentDeclined
from service.domain.pledges.links import get_pledge_by_token
from service.domain.pledges.queries import get_supporter_pledge
from service.domain.pledges.renewals import SANDBOX_GATEWAY, Obstacle
from service.pages.api_docs import http_status_for
from service.pages.csrf import reject_cross_site_requests
from service.pages.gateway_redirect import gateway_origins
from service.pages.outcomes import outcome_url
from service.pages.rendering import render_page
from service.pages.session_cookie import current_supporter_id
from service.pages.translations import Texts, texts_for_campaign
from service.web import check_rate_limit, current_container, read_only


class NotSignedIn(Exception):
    """The request has neither a pledge link nor a valid session."""


@dataclass(frozen=True, kw_only=True)
class PledgeContext:
    """A pledge and the paths of its pages.

    Actions on the pledge are under `base_url` and its receipts under `receipts_url`; `return_url` is the page that
    links to them.
    """

    pledge: Pledge
    texts: Texts
    base_url: str
    return_url: str
    receipts_url: str

    def redirect_back(self, **outcome: str | None) -> BaseResponse:
        """Redirect to `return_url` in the same language, with what was done in its query string."""
        return redirect(outcome_url(self.return_url, outcome), 303)


def pledge_blueprint(name: str) -> Blueprint:
    """Return a blueprint for pages about one pledge."""
    blueprint = Blueprint(name, __name__)
    blueprint.before_request(reject_cross_site_requests)
    blueprint.register_error_handler(NotSignedIn, lambda _: redirect("/me", 303))
    return blueprint


def route_for_account_and_link(
    blueprint: Blueprint, action: str, method: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a view for both signed-in supporters and holders of a pledge link."""

    def register(view: Callable[..., Any]) -> Callable[..., Any]:
        for rule in (f"/me/pledges/<uuid:pledge_id>/{action}", f"/p/<token>/{action}"):
            blueprint.add_url_rule(rule, view_func=view, methods=[method])
        return view

    return register


def load_context(pledge_id: uuid.UUID | None, token: str | None) -> PledgeContext:
    """Return the pledge's context. A POST counts against the rate limit first."""
    if request.method == "POST":
        check_rate_limit("reader")
    with read_only() as session:
        return load_pledge_context(session, pledge_id, token)


def load_pledge_context(session: Session, pledge_id: uuid.UUID | None, token: str | None) -> PledgeContext:
    """Return the pledge of a link's token, or the signed-in supporter's pledge with this id.

    Raises:
        NotSignedIn: there is neither a token nor a session.
        PledgeNotFound: the token is invalid, or the pledge belongs to another supporter.
    """
    if token is not None:
        pledge = get_pledge_by_token(session, token, now=current_container().clock())
        base_url = return_url = f"/p/{token}"
        receipts_url = f"{base_url}/receipts"
    else:
        supporter_id = current_supporter_id(session)
        if supporter_id is None or pledge_id is None:
            raise NotSignedIn
        pledge = get_supporter_pledge(session, pledge_id, supporter_id)
        base_url, return_url, receipts_url = f"/me/pledges/{pledge.id}", "/me", "/me/receipts"
    return PledgeContext(
        pledge=pledge,
        texts=texts_for_campaign(pledge.campaign, pledge.lang),
        base_url=base_url,
        return_url=return_url,
        receipts_url=receipts_url,
    )


def submitted_time(field: Literal["next", "from"]) -> datetime.datetime | None:
    """Return the time of a payment as a form showed it; None if it is damaged."""
    try:
        at = datetime.datetime.fromisoformat(request.form.get(field, ""))
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def submitted_frequency() -> Frequency | None:
    """Return the frequency that a form showed; None if it is damaged, or is not one of recurring support."""
    recurring = {frequency.value: frequency for frequency in (Frequency.MONTHLY, Frequency.ANNUAL)}
    return recurring.get(request.form.get("frequency", ""))


def render_not_now(context: PledgeContext, title: str, obstacle: Obstacle) -> Response:
    """Return the page that says why the schedule of payments cannot be changed now."""
    response = render_page(
        "gateway_error.html",
        context.texts,
        status=409 if request.method == "POST" else 200,
        campaign=context.pledge.campaign,
        title=title,
        message=context.texts[f"me_not_now_{obstacle}"],
        return_url=context.return_url,
        pay_url=None,
    )
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def render_gateway_error(
    context: PledgeContext, error: DomainError, *, operation: Literal["cancel", "amount", "card", "change", "pay"]
) -> Response:
    """Return the page that explains why an operation failed, and what holds now.

    Raises:
        DomainError: `error` itself, if there is no text for its code.
    """
    is_card_missing = operation == "card" and context.pledge.gateway == SANDBOX_GATEWAY
    name = "no_card" if is_card_missing else error.code
    texts, title = context.texts, f"me_trouble_{name}_title"
    if title not in texts:
        raise error
    specific = f"me_trouble_{name}_{operation}"
    response = render_page(
        "gateway_error.html",
        context.texts,
        status=http_status_for(error),
        campaign=context.pledge.campaign,
        title=texts[title],
        message=texts[specific if specific in texts else f"me_trouble_{name}"],
        return_url=context.return_url,
        form_targets=gateway_origins() if error.code == PaymentDeclined.code else (),
        pay_url=f"{context.base_url}/pay" if error.code == PaymentDeclined.code else None,
    )
    response.headers["X-Robots-Tag"] = "noindex"
    if error.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response

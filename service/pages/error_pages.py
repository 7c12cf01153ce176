"""Show errors as HTML pages to browsers; other clients get problem details (RFC 9457)."""

import hashlib
import math
from contextlib import suppress

from flask import Flask, Response, current_app, g, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.routing import RequestRedirect

from service.db.models.campaign import Campaign
from service.domain.campaigns.definitions import DEFAULT_SLUG, default_campaign_slug
from service.domain.errors import CampaignNotFound
from service.pages.rendering import render_page, sender_name
from service.pages.translations import Texts, default_texts, texts_for_campaign
from service.web import current_container, read_only

PROBLEM = "application/problem+json"
# Responses under these paths stay problem JSON, whatever the client accepts.
MACHINE_PATHS = ("/v1/", "/openapi.json", "/healthz", "/readyz", "/metrics")
TOO_MANY_REQUESTS, SERVER_FAULT = 429, 500
# Long enough to find one request among the lines of a day, and short enough to be read out.
REFERENCE_LENGTH = 8
SECONDS_IN_A_MINUTE = 60
# Shorter waits are shown in seconds, also by the box.
SECONDS_BEFORE_MINUTES = 120


def register_error_pages(app: Flask) -> None:
    """Convert problem responses of this app to pages for clients that prefer HTML."""
    app.after_request(_problem_to_page)


def reference_for(request_id: str) -> str:
    """Return the short reference of a request, which its log line has too."""
    return hashlib.sha256(request_id.encode()).hexdigest()[:REFERENCE_LENGTH]


def _problem_to_page(response: Response) -> Response:
    if response.mimetype != PROBLEM or request.path.startswith(MACHINE_PATHS):
        return response
    if not _prefers_html():
        response.vary.add("Accept")
        return response
    status = response.status_code
    campaign = _find_campaign(status)
    texts = default_texts() if campaign is None else texts_for_campaign(campaign)
    name = _text_name(status, g.get("problem_code", ""), texts)
    wait = _wait(response.headers.get("Retry-After", ""), texts)
    g.error_reference = reference_for(g.get("request_id", ""))
    page = render_page(
        "error.html",
        texts,
        status=status,
        scripts=("pages.js",),
        campaign=campaign,
        sender_name=sender_name(),
        title=texts[f"trouble_{name}_title"],
        message=texts[f"trouble_{name}"] if wait is None or status < SERVER_FAULT else wait,
        wait=wait if status < SERVER_FAULT else None,
        retry_url=_retry_url() if status == TOO_MANY_REQUESTS or status >= SERVER_FAULT else None,
        support_url=f"/support/{campaign.slug}?lang={texts.lang}" if campaign else f"/?lang={texts.lang}",
        reference=g.error_reference,
    )
    for name in ("Retry-After", "Allow"):
        if name in response.headers:
            page.headers[name] = response.headers[name]
    return page


def _find_campaign(status: int) -> Campaign | None:
    """Return the campaign of the page, else the newsroom's default one; None if neither is known.

    While the service is in trouble, and for clients that ask too often, the database is not asked.
    """
    cache, slug = current_container().campaign_cache, (request.view_args or {}).get("slug", DEFAULT_SLUG)
    if status == TOO_MANY_REQUESTS or status >= SERVER_FAULT:
        return cache.peek(slug) or cache.peek(DEFAULT_SLUG)
    with suppress(SQLAlchemyError, CampaignNotFound):
        with suppress(CampaignNotFound):
            return cache.get(slug)
        with read_only() as session:
            default = default_campaign_slug(session)
        return cache.get(default)
    return None


def _wait(retry_after: str, texts: Texts) -> str | None:
    """Return the sentence that says when to try again; None if the response does not say."""
    if not retry_after.isdecimal():
        return None
    seconds = int(retry_after)
    if seconds < SECONDS_BEFORE_MINUTES:
        return texts.plural("trouble_wait_seconds", seconds)
    return texts.plural("trouble_wait_minutes", math.ceil(seconds / SECONDS_IN_A_MINUTE))


def _retry_url() -> str | None:
    """Return the path to try again: this page's, or for a form the page at its address, if there is one."""
    path = "/" + request.path.lstrip("/")
    if request.method in ("GET", "HEAD"):
        query = request.query_string.decode("ascii", "ignore")
        return f"{path}?{query}" if query else path
    adapter = current_app.create_url_adapter(request)
    with suppress(RequestRedirect):
        if adapter is not None and adapter.test(path, method="GET"):
            return path
    return None


def _text_name(status: int, code: str, texts: Texts) -> str:
    """Return the most specific name that has texts: the problem code, the status, or the status class."""
    status_class = "500" if status >= SERVER_FAULT else "400"
    return next(name for name in (code, str(status), status_class) if f"trouble_{name}" in texts)


def _prefers_html() -> bool:
    """Whether the client accepts HTML by name, at least as much as JSON. `*/*` alone is not a browser."""
    accepted = request.accept_mimetypes
    names_html = any(media_type == "text/html" and quality > 0 for media_type, quality in accepted)
    return names_html and accepted["text/html"] >= max(accepted["application/json"], accepted[PROBLEM])

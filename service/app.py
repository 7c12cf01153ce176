"""The web application: blueprints, error handlers, headers, and one log line for each request."""

import re
import secrets
import time
from typing import Any

import structlog
from flask import Flask, Response, g, request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.middleware.proxy_fix import ProxyFix

from service import __version__
from service.api.admin import admin
from service.api.admin_campaigns import admin_campaigns
from service.api.admin_erasures import erasures
from service.api.admin_export import exports
from service.api.blueprint import DescribedApi
from service.api.campaigns import campaigns
from service.api.cors import answer_preflight
from service.api.operations import operations
from service.api.pledges import pledges
from service.api.problems import HTTP_CODES, STATUS, answer_errors
from service.api.reminders import reminders
from service.desk import Desk
from service.logs import set_up_logs
from service.pages.api_facts import ApiFacts
from service.pages.registration import register_pages
from service.settings import read_settings
from service.web import put_desk
from service.wiring import build_desk

LARGEST_BODY_BYTES = 64 * 1024
REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{8,128}")

log = structlog.get_logger()


class DiscreetFlask(Flask):
    """Flask, but for the log line of its last resort, which holds the path and so a reader's token."""

    def log_exception(self, exc_info: Any) -> None:
        """Write down what no error handler could answer."""
        log.error("unexpected_error", exc_info=exc_info)


def create_app(desk: Desk | None = None) -> Flask:
    """Return the application, on the given desk or on one that is built from the environment."""
    if desk is None:
        settings = read_settings()
        set_up_logs(settings)
        desk = build_desk(settings)
    app = DiscreetFlask("service", static_folder=None)
    # A doubled slash is an address that does not exist: the redirect that Flask would send is a page of HTML.
    app.url_map.merge_slashes = False
    app.config.update(
        MAX_CONTENT_LENGTH=LARGEST_BODY_BYTES,
        API_TITLE="Mainstay",
        API_VERSION=__version__,
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/",
        OPENAPI_JSON_PATH="openapi.json",
    )
    put_desk(app, desk)
    api = describe(app)
    app.register_blueprint(operations)
    answer_errors(app)
    register_pages(app, ApiFacts(statuses=STATUS, codes=HTTP_CODES, specification=api.spec.to_dict))
    app.before_request(_begin)
    app.before_request(answer_preflight)
    app.after_request(_finish)
    if desk.settings.trusted_proxies:
        hops = desk.settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]  # Flask's own way
    return app


def describe(app: Flask) -> DescribedApi:
    """Register every resource, with its description in /openapi.json."""
    api = DescribedApi(
        app,
        spec_kwargs={
            "info": {"description": "Reader donations, and the reminder that brings readers back."},
            "servers": [{"url": app.extensions["mainstay"].links.public_url}],
            "components": {"securitySchemes": {"staff": {"type": "http", "scheme": "bearer"}}},
        },
    )
    for blueprint in (campaigns, pledges, reminders, admin, exports, admin_campaigns, erasures):
        api.register_blueprint(blueprint)
    return api


def _begin() -> None:
    # A proxy in front may have named the request already; a strange name is replaced, not repeated.
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(16)
    g.began = time.perf_counter()
    # Flask itself looks at the length only when a view reads the body, and some never do.
    if (request.content_length or 0) > LARGEST_BODY_BYTES:
        raise RequestEntityTooLarge


def _finish(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.request_id
    response.headers["X-Content-Type-Options"] = "nosniff"
    if response.status_code == 204 or request.method == "OPTIONS":
        # Nothing is no HTML, as Flask would have it.
        response.headers.pop("Content-Type", None)
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    # The route's pattern and not its path, because paths hold readers' tokens.
    log.info(
        "request",
        request_id=g.request_id,
        method=request.method,
        route=request.url_rule.rule if request.url_rule else None,
        status=response.status_code,
        code=g.get("problem_code"),
        milliseconds=round((time.perf_counter() - g.began) * 1000, 1),
    )
    return response

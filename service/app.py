"""The web application: blueprints, error handlers and limits, behind the WSGI middleware."""

from collections.abc import Callable
from typing import Any

import structlog
from flask import Flask, Response, g, request
from flask.typing import ResponseReturnValue
from gunicorn.http.errors import NoMoreData, ParseException
from sqlalchemy.exc import ProgrammingError
from werkzeug.middleware.proxy_fix import ProxyFix

from service import __version__
from service.api.admin.campaigns import admin_campaigns
from service.api.admin.events import admin_events
from service.api.admin.export import exports
from service.api.admin.payments import admin_payments
from service.api.admin.reports import admin_reports
from service.api.admin.supporters import admin_supporters, erasures
from service.api.blueprint import ProblemApi
from service.api.campaigns import campaigns
from service.api.cors import answer_preflight
from service.api.health import health
from service.api.pledges import pledges
from service.api.problems import (
    HTTP_PROBLEMS,
    STATUS_BY_ERROR,
    ProblemException,
    problem_response,
    register_error_handlers,
)
from service.api.reminders import reminders
from service.api.webhooks import mail_webhooks, receive_email_webhook, receive_stripe_webhook, stripe_webhook
from service.bootstrap import build_container
from service.container import Container
from service.db.prepared_statements import is_name_conflict
from service.db.time_limits import TimeLimits
from service.logs import configure_logging
from service.middleware import REQUEST_ID_ENVIRON_KEY, RequestLogMiddleware
from service.pages import register_pages
from service.pages.api_docs import ApiMetadata
from service.settings import Settings, read_settings
from service.web import init_app

MAX_BODY_BYTES = 64 * 1024
# A Stripe event contains a whole invoice with all its lines, and email services report up to 768 KiB at once.
MAX_WEBHOOK_BYTES = 1024 * 1024
MAX_BODY_BYTES_BY_ENDPOINT = {
    f"{blueprint.name}.{view.__name__}": MAX_WEBHOOK_BYTES
    for blueprint, view in ((stripe_webhook, receive_stripe_webhook), (mail_webhooks, receive_email_webhook))
}
# Only a request that hangs is idle for so long. On a busy machine, one that waits for its turn is so for seconds.
IDLE_TRANSACTION_SECONDS = 60

log = structlog.get_logger()


class PrivacyFlask(Flask):
    """Flask without its own error log line, which contains the path and therefore a reader's token."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function unchanged; Flask would check ten times a request whether it is a coroutine."""
        return func

    def dispatch_request(self) -> ResponseReturnValue:
        """Call the view, and once more if it met the first conflict about the name of a prepared statement.

        Its transaction is rolled back, and statements are not prepared any more.
        """
        try:
            return super().dispatch_request()
        except ProgrammingError as error:
            if not is_name_conflict(error):
                raise
            return super().dispatch_request()

    def log_exception(self, exc_info: Any) -> None:
        """Log an exception that no error handler handled."""
        log.error("unexpected_error", exc_info=exc_info)


def create_app(container: Container | None = None) -> Flask:
    """Return the application with this container, or with one built from the environment."""
    if container is None:
        settings = read_settings()
        configure_logging(settings)
        container = build_container(settings, time_limits=request_limits(settings))
        # Asked now, so that a wrong REDIS_URL is in the log before the first reader comes.
        container.rate_limiter.store_problem()
    app = PrivacyFlask("service", static_folder=None)
    # A path with a doubled slash is not found: the redirect that Flask would send is an HTML page.
    app.url_map.merge_slashes = False
    app.config.update(
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES + 1,
        API_TITLE="Mainstay",
        API_VERSION=__version__,
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/",
        OPENAPI_JSON_PATH="openapi.json",
    )
    init_app(app, container)
    api = register_api(app)
    app.register_blueprint(health)
    register_error_handlers(app)
    for error_class in (ParseException, NoMoreData):
        app.register_error_handler(error_class, _handle_truncated_body)
    register_pages(
        app,
        ApiMetadata(statuses=STATUS_BY_ERROR, codes=HTTP_PROBLEMS, specification=api.spec.to_dict),
        in_production=container.settings.is_production,
    )
    app.before_request(_check_body_size)
    app.before_request(answer_preflight)
    hops, public_url = container.settings.trusted_proxies, container.settings.public_url
    # Flask documents replacing this method as the way to add WSGI middleware.
    app.wsgi_app = RequestLogMiddleware(app.wsgi_app, public_url=public_url)  # type: ignore[method-assign]
    if hops:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]
    return app


def request_limits(settings: Settings) -> TimeLimits:
    """Return how long the database may take for a request."""
    return TimeLimits(
        statement=settings.database_statement_timeout_seconds,
        lock=settings.database_lock_timeout_seconds,
        idle=IDLE_TRANSACTION_SECONDS,
    )


def register_api(app: Flask) -> ProblemApi:
    """Register every API blueprint, which also describes it in /openapi.json."""
    api = ProblemApi(
        app,
        spec_kwargs={
            "info": {"description": "Reader donations, with reminders that bring readers back."},
            "servers": [{"url": app.extensions["mainstay"].urls.public_url}],
            "components": {"securitySchemes": {"staff": {"type": "http", "scheme": "bearer"}}},
        },
    )
    admin = (admin_reports, exports, admin_campaigns, admin_events, admin_payments, admin_supporters, erasures)
    for blueprint in (campaigns, pledges, reminders, *admin, mail_webhooks, stripe_webhook):
        api.register_blueprint(blueprint)
    return api


def _handle_truncated_body(_error: Exception) -> Response:
    # gunicorn reads the body lazily, so these errors are raised inside the view.
    return problem_response(400, "bad_request", "The body ended early or is not in the chunks that it promised.")


def _check_body_size() -> None:
    g.request_id = request.environ.get(REQUEST_ID_ENVIRON_KEY)
    # Flask checks the length only when a view reads the body, and some views never do. A chunked body declares
    # no length and would be truncated silently at the limit, so it is read to one byte beyond.
    max_bytes = MAX_BODY_BYTES_BY_ENDPOINT.get(request.endpoint or "", MAX_BODY_BYTES)
    request.max_content_length = max_bytes + 1
    if "CONTENT_LENGTH" in request.environ:
        length = request.content_length or 0
    elif "HTTP_TRANSFER_ENCODING" in request.environ:
        length = len(request.get_data())
    else:
        return
    if length > max_bytes:
        raise ProblemException(413, HTTP_PROBLEMS[413][0], f"The body is larger than {max_bytes // 1024} KiB.")

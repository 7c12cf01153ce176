"""WSGI middleware that gives each request an id, adds the common response headers and writes one log line.

It is WSGI (PEP 3333) and not a pair of Flask hooks, which would add a sixth more function calls to a request
that is answered from the cache.
"""

import re
import secrets
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import structlog
from flask import g

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

REQUEST_ID_ENVIRON_KEY = "mainstay.request_id"
VALID_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{8,128}")
SECURITY_HEADERS = [("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer")]
# Browsers then refuse plain HTTP for a year (RFC 6797). Other hosts of the newsroom's domain are not ours to bind.
HSTS_HEADER = ("Strict-Transport-Security", "max-age=31536000")
# A cache in front may store an answer that does not forbid it (RFC 9111, section 4.2.2).
NO_STORE_HEADER = ("Cache-Control", "no-store")


class RequestLogMiddleware:
    """Wraps the application; `environ[REQUEST_ID_ENVIRON_KEY]` is the request id."""

    def __init__(self, application: "WSGIApplication", *, public_url: str) -> None:
        self._application = application
        self._headers = [*SECURITY_HEADERS, *([HSTS_HEADER] if public_url.startswith("https://") else [])]
        # Bound once, because structlog binds an unbound logger again for each line.
        self._log: Any = structlog.get_logger().bind()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Call the application and log the request when its response starts."""
        started_at = time.perf_counter()
        # A proxy may have set an id already. One of another form is replaced and never echoed.
        incoming_id = environ.get("HTTP_X_REQUEST_ID", "")
        request_id = environ[REQUEST_ID_ENVIRON_KEY] = (
            incoming_id if VALID_REQUEST_ID.fullmatch(incoming_id) else secrets.token_hex(16)
        )

        def log_and_start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            if status.startswith("204") or environ["REQUEST_METHOD"] == "OPTIONS":
                # Flask sets a Content-Type of HTML even on an empty response.
                headers = [header for header in headers if header[0] != "Content-Type"]
            # The route pattern and not the path, because paths contain readers' tokens.
            rule = environ["werkzeug.request"].url_rule
            shown = {"reference": g.error_reference} if "error_reference" in g else {}
            self._log.info(
                "request",
                request_id=request_id,
                method=environ["REQUEST_METHOD"],
                route=rule.rule if rule else None,
                status=int(status[:3]),
                code=g.get("problem_code"),
                milliseconds=round((time.perf_counter() - started_at) * 1000, 1),
                **shown,
            )
            headers = [*headers, ("X-Request-Id", request_id), *self._headers]
            # What may be stored says so itself.
            if not any(name.lower() == "cache-control" for name, _ in headers):
                headers.append(NO_STORE_HEADER)
            return start_response(status, headers, *exc_info)

        return self._application(environ, log_and_start)

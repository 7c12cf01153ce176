"""What every request gets on its way in and out: an id, the headers that all answers carry, and one log line.

This is WSGI (PEP 3333) and not a pair of Flask's hooks, in which the same takes a sixth more function calls of a
request that is answered from memory.
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


class RequestLogMiddleware:
    """Stands before the application; `environ[REQUEST_ID_ENVIRON_KEY]` is the request's id."""

    def __init__(self, application: "WSGIApplication") -> None:
        self._application = application
        # Bound here, once, because an unbound logger is bound anew for each line.
        self._log: Any = structlog.get_logger().bind()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Pass a request on, and its answer back."""
        began = time.perf_counter()
        # A proxy in front may have named the request already; a strange name is replaced, not repeated.
        given = environ.get("HTTP_X_REQUEST_ID", "")
        request_id = environ[REQUEST_ID_ENVIRON_KEY] = (
            given if VALID_REQUEST_ID.fullmatch(given) else secrets.token_hex(16)
        )

        def response(status: str, headers: list[tuple[str, str]], *failure: Any) -> Any:
            if status.startswith("204") or environ["REQUEST_METHOD"] == "OPTIONS":
                # Nothing is no HTML, as Flask would have it.
                headers = [header for header in headers if header[0] != "Content-Type"]
            # The route's pattern and not its path, because paths hold readers' tokens.
            rule = environ["werkzeug.request"].url_rule
            self._log.info(
                "request",
                request_id=request_id,
                method=environ["REQUEST_METHOD"],
                route=rule.rule if rule else None,
                status=int(status[:3]),
                code=g.get("problem_code"),
                milliseconds=round((time.perf_counter() - began) * 1000, 1),
            )
            return start_response(status, [*headers, ("X-Request-Id", request_id), *SECURITY_HEADERS], *failure)

        return self._application(environ, response)

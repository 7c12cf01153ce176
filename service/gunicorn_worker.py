"""A gunicorn worker and logger that return errors as problems and log no personal data.

gunicorn's own classes answer unparsable requests with an HTML page, and log paths (which contain readers' tokens),
client addresses and whole header lines.
"""

import contextlib
import http
import json
import secrets
import socket
import sys
from typing import Any

import structlog
from gunicorn import glogging, util
from gunicorn.http import errors
from gunicorn.workers.gthread import ThreadWorker

STATUS_BY_ERROR = {
    errors.LimitRequestLine: 414,
    errors.LimitRequestHeaders: 431,
    errors.ExpectationFailed: 417,
    errors.UnsupportedTransferCoding: 501,
}

log = structlog.get_logger()


class ProblemWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn ships no types
    """A threaded worker that answers unparsable requests with a problem (RFC 9457)."""

    def handle_error(self, _request: Any, client: socket.socket, _address: Any, error: Exception) -> None:
        """Respond to a request that the application never received, or to an error that it did not handle."""
        request_id = secrets.token_hex(16)
        is_response_error = isinstance(error, errors.InvalidResponseHeader | errors.InvalidResponseHeaderName)
        if isinstance(error, errors.ParseException) and not is_response_error:
            status = STATUS_BY_ERROR.get(type(error), 400)
            log.info("unreadable_request", request_id=request_id, status=status, error_class=type(error).__name__)
        else:
            status = 500
            log.error("unexpected_error", request_id=request_id, exc_info=error)
        with contextlib.suppress(OSError):
            util.write_nonblock(client, _problem_response(status, request_id))


def _problem_response(status: int, request_id: str) -> bytes:
    title = http.HTTPStatus(status).phrase
    code = "internal_error" if status == 500 else "unreadable_request"
    body = json.dumps(
        {
            "type": f"urn:mainstay:problem:{code}",
            "title": title,
            "status": status,
            "detail": "Something went wrong here." if status == 500 else "This could not be read as HTTP.",
            "code": code,
        }
    )
    head = (
        f"HTTP/1.1 {status} {title}",
        "Connection: close",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        f"X-Request-Id: {request_id}",
        "X-Content-Type-Options: nosniff",
    )
    return "\r\n".join((*head, "", body)).encode("ascii")


class PrivacyLogger(glogging.Logger):  # type: ignore[misc]  # as above
    """Logs server messages; of an exception, only its class and stack frames."""

    def debug(self, *_: Any, **__: Any) -> None:
        """Log nothing: debug lines contain paths."""

    def exception(self, *_: Any, **__: Any) -> None:
        """Log the current exception without its message."""
        log.error("server_error", exc_info=sys.exc_info()[1])

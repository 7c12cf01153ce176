"""The server below the application, made to keep its promises: problems for errors, and silence about readers.

gunicorn by itself answers what it cannot parse with a page of HTML, and writes paths, which hold readers' tokens,
addresses of clients and whole header lines into its log.
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
    """Serves in threads; answers what is not HTTP as a problem (RFC 9457)."""

    def handle_error(self, _request: Any, client: socket.socket, _address: Any, error: Exception) -> None:
        """Answer a request that never reached the application, or an error that it did not answer."""
        request_id = secrets.token_hex(16)
        ours = isinstance(error, errors.InvalidResponseHeader | errors.InvalidResponseHeaderName)
        if isinstance(error, errors.ParseException) and not ours:
            status = STATUS_BY_ERROR.get(type(error), 400)
            log.info("unreadable_request", request_id=request_id, status=status, error_class=type(error).__name__)
        else:
            status = 500
            log.error("unexpected_error", request_id=request_id, exc_info=error)
        with contextlib.suppress(OSError):
            util.write_nonblock(client, _answer(status, request_id))


def _answer(status: int, request_id: str) -> bytes:
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
    """Writes what happens to the server, and of an exception only its class and where it happened."""

    def debug(self, *_: Any, **__: Any) -> None:
        """Write nothing: these lines hold paths."""

    def exception(self, *_: Any, **__: Any) -> None:
        """Write down the exception in hand without its message."""
        log.error("server_error", exc_info=sys.exc_info()[1])

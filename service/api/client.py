"""Who asks: the network address that a limit is counted against."""

from flask import request

from service.web import current_desk


def count_request(action: str) -> None:
    """Count this request against the client's limit.

    Raises:
        TooManyRequests: with the seconds to wait.
    """
    current_desk().throttle.check(action, request.remote_addr or "unknown")

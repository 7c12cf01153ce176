"""What views use of the current app and request: the container, database sessions, rate limits."""

import ipaddress
import uuid
from contextlib import AbstractContextManager
from typing import cast

from flask import Flask, current_app, request
from sqlalchemy.orm import Session

from service.container import Container
from service.domain.email.mailbox_limits import mailbox_of

EXTENSION_KEY = "mainstay"
FORWARDING_HEADERS = ("X-Forwarded-For", "Forwarded", "X-Real-Ip")


def init_app(app: Flask, container: Container) -> None:
    """Attach the container to an app."""
    app.extensions[EXTENSION_KEY] = container


def current_container() -> Container:
    """Return the container of the current app."""
    return cast("Container", current_app.extensions[EXTENSION_KEY])


def transaction() -> AbstractContextManager[Session]:
    """Open a transaction that commits at the end of its block."""
    return current_container().database.transaction()


def read_only() -> AbstractContextManager[Session]:
    """Open a session that cannot write."""
    return current_container().database.read_only()


def check_rate_limit(action: str) -> None:
    """Count this request against the limit of its client, identified by IP address (IPv6: /64 network).

    Raises:
        TooManyRequests: with the seconds to wait.
    """
    current_container().rate_limiter.check(action, _client_network(request.remote_addr or "unknown"))


def check_sign_in_rate_limit(address: str) -> None:
    """Count a sign-in request against two limits: of its client, and of the mailbox of the address.

    Raises:
        TooManyRequests: with the seconds to wait. It does not depend on whether the address is known.
    """
    check_rate_limit("sign_in_by_network")
    current_container().rate_limiter.check("sign_in_by_address", mailbox_of(address))


def check_email_change_rate_limit(supporter_id: uuid.UUID, address: str) -> None:
    """Count a request to change an address like a sign-in with the new one, and against the supporter's own limit.

    Raises:
        TooManyRequests: with the seconds to wait. It does not depend on whether the address is known.
    """
    check_sign_in_rate_limit(address)
    current_container().rate_limiter.check("email_change_by_supporter", str(supporter_id))


def _client_network(address: str) -> str:
    """Return an IPv4 address as it is, and the /64 network of an IPv6 address: one household (RFC 6177)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address


def is_local_request() -> bool:
    """Whether the request comes from the machine that runs the service."""
    # A local proxy that is missing from TRUSTED_PROXIES would make every request look local.
    forwarded = any(name in request.headers for name in FORWARDING_HEADERS)
    if forwarded and not current_container().settings.trusted_proxies:
        return False
    try:
        return ipaddress.ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False

"""What a view may reach: the desk of the app that serves the request, and the two doors to its database."""

import ipaddress
from contextlib import AbstractContextManager
from typing import cast

from flask import Flask, current_app, request
from sqlalchemy.orm import Session

from service.container import Container

EXTENSION_KEY = "mainstay"
FORWARDING_HEADERS = ("X-Forwarded-For", "Forwarded", "X-Real-Ip")


def init_app(app: Flask, container: Container) -> None:
    """Give an app its desk."""
    app.extensions[EXTENSION_KEY] = container


def current_container() -> Container:
    """Return the desk of the app that serves the current request."""
    return cast("Container", current_app.extensions[EXTENSION_KEY])


def transaction() -> AbstractContextManager[Session]:
    """Open a transaction that commits at the end of its block."""
    return current_container().database.transaction()


def read_only() -> AbstractContextManager[Session]:
    """Open a session that cannot change anything."""
    return current_container().database.read_only()


def check_rate_limit(action: str) -> None:
    """Count this request against its client's limit; the client is the network address that sent it.

    Raises:
        TooManyRequests: with the seconds to wait.
    """
    current_container().rate_limiter.check(action, _client_network(request.remote_addr or "unknown"))


def check_sign_in_rate_limit(address: str) -> None:
    """Count a wish to sign in, by the network that it came from and by the normalised address that it names.

    Raises:
        TooManyRequests: with the seconds to wait, whether or not the address is anyone's whom we know.
    """
    check_rate_limit("sign_in_by_network")
    current_container().rate_limiter.check("sign_in_by_address", address.lower())


def _client_network(address: str) -> str:
    """Return the address, or of IPv6 the network that one household has to itself (RFC 6177): 64 bits."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address


def is_local_request() -> bool:
    """Whether the request comes from the machine that the service runs on."""
    # A proxy on this machine that we were not told of would make the whole world look local.
    forwarded = any(name in request.headers for name in FORWARDING_HEADERS)
    if forwarded and not current_container().settings.trusted_proxies:
        return False
    try:
        return ipaddress.ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False

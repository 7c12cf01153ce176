"""What a view may reach: the desk of the app that serves the request, and the two doors to its database."""

import ipaddress
from contextlib import AbstractContextManager
from typing import cast

from flask import Flask, current_app, request
from sqlalchemy.orm import Session

from service.desk import Desk

EXTENSION = "mainstay"
FORWARDING_HEADERS = ("X-Forwarded-For", "Forwarded", "X-Real-Ip")


def put_desk(app: Flask, desk: Desk) -> None:
    """Give an app its desk."""
    app.extensions[EXTENSION] = desk


def current_desk() -> Desk:
    """Return the desk of the app that serves the current request."""
    return cast("Desk", current_app.extensions[EXTENSION])


def transaction() -> AbstractContextManager[Session]:
    """Open a transaction that commits at the end of its block."""
    return current_desk().database.transaction()


def reading() -> AbstractContextManager[Session]:
    """Open a session that cannot change anything."""
    return current_desk().database.reading()


def count_request(action: str) -> None:
    """Count this request against its client's limit; the client is the network address that sent it.

    Raises:
        TooManyRequests: with the seconds to wait.
    """
    current_desk().throttle.check(action, _network(request.remote_addr or "unknown"))


def count_sign_in(address: str) -> None:
    """Count a wish to sign in, by the network that it came from and by the normalised address that it names.

    Raises:
        TooManyRequests: with the seconds to wait, whether or not the address is anyone's whom we know.
    """
    count_request("sign_in_by_network")
    current_desk().throttle.check("sign_in_by_address", address.lower())


def _network(address: str) -> str:
    """Return the address, or of IPv6 the network that one household has to itself (RFC 6177): 64 bits."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address


def is_from_this_machine() -> bool:
    """Whether the request comes from the machine that the service runs on."""
    # A proxy on this machine that we were not told of would make the whole world look local.
    forwarded = any(name in request.headers for name in FORWARDING_HEADERS)
    if forwarded and not current_desk().settings.trusted_proxies:
        return False
    try:
        return ipaddress.ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False

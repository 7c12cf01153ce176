"""What views use of the current app and request: the container, database sessions, rate limits."""

import ipaddress
import re
import uuid
from contextlib import AbstractContextManager
from typing import cast

from flask import Flask, current_app, request
from sqlalchemy.orm import Session

from service.container import Container
from service.domain.email.mailbox_limits import mailbox_of
from service.loopback import is_loopback_address, is_loopback_host

EXTENSION_KEY = "mainstay"
# What proxies add: Forwarded (RFC 7239), Via (RFC 9110, section 7.6.3), X-Forwarded-*, X-Real-IP, True-Client-IP,
# X-Envoy-External-Address, X-Original-Host and the like.
FORWARDING_HEADER = re.compile(
    r"FORWARDED|^HTTP_VIA$|CDN_LOOP|PROXY|(IP|ADDR|ADDRESS)$|_ORIGINAL_|^HTTP_CF_"
    r"|^HTTP_X_(HOST|SCHEME|URL_SCHEME|REQUEST_START)$"
)
# The host of RFC 9110, section 7.2, with its optional port; nothing of a user or a path.
HOST_HEADER = re.compile(r"(?:\[(?P<ipv6>[0-9a-fA-F:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::[0-9]{1,5})?")


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
    """Whether the request was sent by a program on the machine that runs the service, for this machine only.

    The peer alone does not show that: behind a proxy on this machine every peer is local, some proxies add no
    header, and with DNS rebinding a browser here sends the requests of another site, under that site's host.
    """
    environ = request.environ
    if any(FORWARDING_HEADER.search(name) for name in environ if name.startswith("HTTP_")):
        return False
    # Behind ProxyFix, REMOTE_ADDR is what a header said.
    original = environ.get("werkzeug.proxy_fix.orig", environ)
    host = HOST_HEADER.fullmatch(environ.get("HTTP_HOST", ""))
    return (
        is_loopback_address(original.get("REMOTE_ADDR") or "")
        and host is not None
        and is_loopback_host(host["ipv6"] or host["name"])
        and current_container().settings.is_local_only
    )

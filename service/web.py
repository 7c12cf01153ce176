"""What views use of the current app and request: the container, database sessions, rate limits."""

import re
import uuid
from contextlib import AbstractContextManager
from typing import cast

from flask import Flask, current_app, request
from sqlalchemy.orm import Session

from service.client_address import client_network, parse_client_address, wide_network
from service.container import Container
from service.db.models.campaign import Campaign
from service.domain.ports import ALL_OF_CAMPAIGN, WIDE_NETWORK
from service.loopback import is_loopback_address, is_loopback_host

EXTENSION_KEY = "mainstay"
# What proxies add: Forwarded (RFC 7239), Via (RFC 9110, section 7.6.3), CDN-Loop (RFC 8586),
# Surrogate-Capability, True-Client-IP and the like, and many names with X-: X-Forwarded-*, X-Real-IP, X-Varnish.
# Programs on this machine send few of those, and one that sends another needs a token.
FORWARDING_HEADER = re.compile(
    r"FORWARDED|PROXY|(IP|ADDR|ADDRESS)$|^HTTP_(VIA$|CDN_LOOP$|SURROGATE_|CF_|FLY_)"
    r"|^HTTP_X_(?!(REQUEST_ID|REQUESTED_WITH|PROMETHEUS_SCRAPE_TIMEOUT_SECONDS)$)"
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
    """Count this request against the limits of its client and of the wider network that it belongs to.

    Raises:
        TooManyRequests: with the seconds to wait.
    """
    client = parse_client_address(request.remote_addr or "")
    limiter = current_container().rate_limiter
    limiter.check(action, client_network(client))
    limiter.check(f"{action}{WIDE_NETWORK}", wide_network(client))


def check_campaign_rate_limit(action: str, campaign: Campaign) -> None:
    """Count this request against the ceiling of its campaign, which all clients share.

    Raises:
        TooManyRequests: with the seconds to wait.
    """
    current_container().rate_limiter.check(f"{action}{ALL_OF_CAMPAIGN}", campaign.slug)


def check_email_change_rate_limit(supporter_id: uuid.UUID) -> None:
    """Count a request to change an address like a sign-in, and against the supporter's own limit.

    Raises:
        TooManyRequests: with the seconds to wait.
    """
    check_rate_limit("sign_in")
    current_container().rate_limiter.check("email_change_by_supporter", str(supporter_id))


def check_receipt_rate_limit(supporter_id: uuid.UUID) -> None:
    """Count a request to send a receipt again against the supporter's own limit.

    Raises:
        TooManyRequests: with the seconds to wait.
    """
    check_rate_limit("reader")
    current_container().rate_limiter.check("receipt_by_supporter", str(supporter_id))


def current_client() -> str:
    """Return the network of the client that sent this request."""
    return client_network(parse_client_address(request.remote_addr or ""))


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
        # A whole URL names another host than the header does (RFC 9112, section 3.2.2).
        environ.get("RAW_URI", "/").startswith("/")
        and is_loopback_address(original.get("REMOTE_ADDR") or "")
        and host is not None
        and is_loopback_host(host["ipv6"] or host["name"])
        and current_container().settings.is_local_only
    )

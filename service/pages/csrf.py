"""Protect the session cookie against cross-site request forgery."""

from urllib.parse import urlsplit

from flask import request
from werkzeug.exceptions import Forbidden

from service.web import current_container

ALLOWED_FETCH_SITES = ("same-origin", "none")
# Browsers send these instead of an origin that they withhold, as our Referrer-Policy asks them to.
MISSING_ORIGINS = ("", "null")


def reject_cross_site_requests() -> None:
    """Reject a cross-site request that is not GET or HEAD.

    Current browsers send Sec-Fetch-Site (Fetch Metadata); older ones may send Origin. A browser that sends neither
    still omits the session cookie from a cross-site POST, because the cookie is SameSite=Lax.

    Raises:
        Forbidden: the request comes from another site.
    """
    if request.method in ("GET", "HEAD"):
        return
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site not in ALLOWED_FETCH_SITES:
            raise Forbidden
        return
    origin = request.headers.get("Origin", "")
    if origin not in MISSING_ORIGINS and urlsplit(origin)[:2] != urlsplit(current_container().urls.public_url)[:2]:
        raise Forbidden

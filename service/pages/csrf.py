"""Whether a form was sent from a page of ours: no other site may use what a reader's cookie lets them do."""

from urllib.parse import urlsplit

from flask import request
from werkzeug.exceptions import Forbidden

from service.web import current_container

ALLOWED_FETCH_SITES = ("same-origin", "none")
# What a browser says in place of an origin that it keeps to itself, as our own Referrer-Policy asks of it.
MISSING_ORIGINS = ("", "null")


def reject_cross_site_requests() -> None:
    """Refuse a request that changes something if the browser says that another site made it.

    Every current browser sends Sec-Fetch-Site (Fetch Metadata); an older one may send Origin. One that sends
    neither still brings the session's cookie from no other site, because it is SameSite=Lax.

    Raises:
        Forbidden: it comes from elsewhere.
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

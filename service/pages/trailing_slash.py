"""Lead from the address of a page with a slash at its end, as people type it, to the one without."""

from flask import current_app, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from service.pages.error_pages import MACHINE_PATHS


def redirect_trailing_slash() -> BaseResponse | None:
    """Redirect to the same page without the slash; None if the address exists as it is, or in neither form."""
    path = request.path.rstrip("/")
    if request.url_rule is not None or path == request.path or path.startswith(MACHINE_PATHS):
        return None
    # A rule never begins with two slashes, which a browser would read as the host of another site.
    if not path or not current_app.url_map.bind("").allowed_methods(path):
        return None
    # The path as the client encoded it.
    raw_path, _, query = request.full_path.partition("?")
    location = raw_path.rstrip("/")
    # 308 keeps the method and the form of a POST.
    response = redirect(f"{location}?{query}" if query else location, 308)
    response.headers["Cache-Control"] = "no-store"
    return response

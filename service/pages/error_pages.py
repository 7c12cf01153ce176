"""Show errors as HTML pages to browsers; other clients get problem details (RFC 9457)."""

from flask import Flask, Response, g, request

from service.pages.rendering import render_page, sender_name
from service.pages.translations import Texts, default_texts

PROBLEM = "application/problem+json"
# Responses under these paths stay problem JSON, whatever the client accepts.
MACHINE_PATHS = ("/v1/", "/openapi.json", "/healthz", "/readyz", "/metrics")
SERVER_FAULT = 500


def register_error_pages(app: Flask) -> None:
    """Convert problem responses of this app to pages for clients that prefer HTML."""
    app.after_request(_problem_to_page)


def _problem_to_page(response: Response) -> Response:
    if response.mimetype != PROBLEM or request.path.startswith(MACHINE_PATHS):
        return response
    if not _prefers_html():
        response.vary.add("Accept")
        return response
    texts, status = default_texts(), response.status_code
    name = _text_name(status, g.get("problem_code", ""), texts)
    page = render_page(
        "error.html",
        texts,
        status=status,
        sender_name=sender_name(),
        title=texts[f"trouble_{name}_title"],
        message=texts[f"trouble_{name}"],
        reference=g.get("request_id") if status >= SERVER_FAULT else None,
    )
    for name in ("Retry-After", "Allow"):
        if name in response.headers:
            page.headers[name] = response.headers[name]
    return page


def _text_name(status: int, code: str, texts: Texts) -> str:
    """Return the most specific name that has texts: the problem code, the status, or the status class."""
    status_class = "500" if status >= SERVER_FAULT else "400"
    return next(name for name in (code, str(status), status_class) if f"trouble_{name}" in texts)


def _prefers_html() -> bool:
    """Whether the client accepts HTML by name, at least as much as JSON. `*/*` alone is not a browser."""
    accepted = request.accept_mimetypes
    names_html = any(media_type == "text/html" and quality > 0 for media_type, quality in accepted)
    return names_html and accepted["text/html"] >= max(accepted["application/json"], accepted[PROBLEM])

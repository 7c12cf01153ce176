"""What a person sees when something is refused: a page, where a program would get a problem (RFC 9457)."""

from email.utils import parseaddr

from flask import Flask, Response, g, request

from service.pages.rendering import render_page
from service.pages.translations import Texts, default_texts
from service.web import current_container

PROBLEM = "application/problem+json"
# Programs read these; everything else is for people.
MACHINE_PATHS = ("/v1/", "/openapi.json", "/healthz", "/readyz", "/metrics")
SERVER_FAULT = 500


def register_error_pages(app: Flask) -> None:
    """Turn the problems of this app into pages for those who would rather read them."""
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
        "trouble.html",
        texts,
        status=status,
        sender=parseaddr(current_container().settings.mail.sender)[0] or "Mainstay",
        title=texts[f"trouble_{name}_title"],
        message=texts[f"trouble_{name}"],
        reference=g.get("request_id") if status >= SERVER_FAULT else None,
    )
    for name in ("Retry-After", "Allow"):
        if name in response.headers:
            page.headers[name] = response.headers[name]
    return page


def _text_name(status: int, code: str, texts: Texts) -> str:
    """Return the name of the nearest texts: those of the code, of the status, or of its whole class."""
    whole_class = "500" if status >= SERVER_FAULT else "400"
    return next(name for name in (code, str(status), whole_class) if f"trouble_{name}" in texts)


def _prefers_html() -> bool:
    """Whether the client names HTML and likes it at least as much as JSON; `*/*` alone means a program."""
    accepted = request.accept_mimetypes
    names_html = any(kind == "text/html" and quality > 0 for kind, quality in accepted)
    return names_html and accepted["text/html"] >= max(accepted["application/json"], accepted[PROBLEM])

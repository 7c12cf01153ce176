"""What a person sees when something is refused: a page, where a program would get a problem (RFC 9457)."""

from email.utils import parseaddr

from flask import Flask, Response, g, request

from service.pages.language import Words, plain_words
from service.pages.sheet import sheet
from service.web import current_container

PROBLEM = "application/problem+json"
# Programs read these; everything else is for people.
FOR_PROGRAMS = ("/v1/", "/openapi.json", "/healthz", "/readyz", "/metrics")
SERVER_FAULT = 500


def show_problems_as_pages(app: Flask) -> None:
    """Turn the problems of this app into pages for those who would rather read them."""
    app.after_request(_show)


def _show(response: Response) -> Response:
    if response.mimetype != PROBLEM or request.path.startswith(FOR_PROGRAMS):
        return response
    if not _prefers_a_page():
        response.vary.add("Accept")
        return response
    words, status = plain_words(), response.status_code
    name = _name_of(status, g.get("problem_code", ""), words)
    page = sheet(
        "trouble.html",
        words,
        status=status,
        sender=parseaddr(current_container().settings.mail.sender)[0] or "Mainstay",
        title=words[f"trouble_{name}_title"],
        message=words[f"trouble_{name}"],
        reference=g.get("request_id") if status >= SERVER_FAULT else None,
    )
    for name in ("Retry-After", "Allow"):
        if name in response.headers:
            page.headers[name] = response.headers[name]
    return page


def _name_of(status: int, code: str, words: Words) -> str:
    """Return the name of the nearest texts: those of the code, of the status, or of its whole class."""
    whole_class = "500" if status >= SERVER_FAULT else "400"
    return next(name for name in (code, str(status), whole_class) if f"trouble_{name}" in words)


def _prefers_a_page() -> bool:
    """Whether the client names HTML and likes it at least as much as JSON; `*/*` alone means a program."""
    accepted = request.accept_mimetypes
    names_html = any(kind == "text/html" and quality > 0 for kind, quality in accepted)
    return names_html and accepted["text/html"] >= max(accepted["application/json"], accepted[PROBLEM])

"""One sheet of paper: how a page is rendered, and the headers that every page carries."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from flask import Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from service.domain.money.currencies import resolve_locale
from service.pages.files import address_of
from service.pages.language import Words
from service.web import current_container

_templates = Environment(
    loader=PackageLoader("service.pages", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.globals["address_of"] = address_of
_templates.filters["fill"] = lambda text, **values: text.format_map(values)


def draw(template: str, words: Words, **view: Any) -> str:
    """Return a page as HTML."""
    direction = resolve_locale(words.lang).text_direction
    return _templates.get_template(template).render(words=words, lang=words.lang, direction=direction, **view)


def sheet(
    template: str,
    words: Words,
    *,
    status: int = 200,
    leads_to: Sequence[str] = (),
    runs_widget: bool = False,
    frames: bool = False,
    **view: Any,
) -> Response:
    """Return a page as an answer that nobody stores.

    `leads_to` are addresses on other sites that a form of this page may end at: browsers hold a form's redirects
    against the policy too. `runs_widget` lets our own script run, and `frames` our own pages be framed in it.
    """
    response = Response(
        draw(template, words, status=status, **view), status, content_type="text/html; charset=utf-8"
    )
    response.headers["Content-Security-Policy"] = _policy(leads_to, runs_widget=runs_widget, frames=frames)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Language"] = words.lang
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.vary.update(("Accept", "Accept-Language"))
    return response


def _policy(leads_to: Sequence[str], *, runs_widget: bool, frames: bool) -> str:
    """Return a Content-Security-Policy (CSP level 3) that allows only what the page needs."""
    ends = dict.fromkeys(_origin(url) for url in (current_container().urls.public_url, *leads_to))
    rules = [
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self' data:",
        f"form-action 'self' {' '.join(ends)}",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "require-trusted-types-for 'script'",
    ]
    if runs_widget:
        rules += ["script-src 'self'", "connect-src 'self'"]
    if frames:
        rules.append("frame-src 'self'")
    return "; ".join(rules)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"

"""One sheet of paper: how a page is rendered, and the headers that every page carries."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from flask import Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from service.domain.money import resolve_locale
from service.pages.static_files import static_url
from service.pages.translations import Texts
from service.web import current_container

_templates = Environment(
    loader=PackageLoader("service.pages", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.globals["static_url"] = static_url
_templates.filters["fill"] = lambda text, **values: text.format_map(values)


def render_html(template: str, texts: Texts, **view: Any) -> str:
    """Return a page as HTML."""
    direction = resolve_locale(texts.lang).text_direction
    return _templates.get_template(template).render(words=texts, lang=texts.lang, direction=direction, **view)


def render_page(
    template: str,
    texts: Texts,
    *,
    status: int = 200,
    form_targets: Sequence[str] = (),
    allow_widget: bool = False,
    allow_frames: bool = False,
    **view: Any,
) -> Response:
    """Return a page as an answer that nobody stores.

    `form_targets` are addresses on other sites that a form of this page may end at: browsers hold a form's
    redirects
    against the policy too. `allow_widget` lets our own script run, and `allow_frames` our own pages be framed in
    it.
    """
    response = Response(
        render_html(template, texts, status=status, **view), status, content_type="text/html; charset=utf-8"
    )
    response.headers["Content-Security-Policy"] = _content_security_policy(
        form_targets, allow_widget=allow_widget, allow_frames=allow_frames
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Language"] = texts.lang
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.vary.update(("Accept", "Accept-Language"))
    return response


def _content_security_policy(form_targets: Sequence[str], *, allow_widget: bool, allow_frames: bool) -> str:
    """Return a Content-Security-Policy (CSP level 3) that allows only what the page needs."""
    ends = dict.fromkeys(_origin(url) for url in (current_container().urls.public_url, *form_targets))
    rules = [
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self' data:",
        f"form-action 'self' {' '.join(ends)}",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "require-trusted-types-for 'script'",
    ]
    if allow_widget:
        rules += ["script-src 'self'", "connect-src 'self'"]
    if allow_frames:
        rules.append("frame-src 'self'")
    return "; ".join(rules)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"

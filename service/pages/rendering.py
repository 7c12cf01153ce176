"""Render templates as responses, with the security headers of every page."""

from collections.abc import Sequence
from email.utils import parseaddr
from typing import Any

from flask import Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from service.domain.money import resolve_locale
from service.domain.urls import origin_of
from service.pages.brand import page_brand
from service.pages.static_files import static_url
from service.pages.translations import Texts
from service.web import current_container

# No page uses a device or asks the browser for a payment: readers pay on the gateway's own site.
UNUSED_FEATURES = (
    "accelerometer",
    "autoplay",
    "camera",
    "display-capture",
    "fullscreen",
    "geolocation",
    "gyroscope",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "picture-in-picture",
    "publickey-credentials-get",
    "screen-wake-lock",
    "usb",
    "xr-spatial-tracking",
)
PERMISSIONS_POLICY = ", ".join(f"{feature}=()" for feature in UNUSED_FEATURES)

_templates = Environment(
    loader=PackageLoader("service.pages", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.globals["static_url"] = static_url


def render_html(template: str, texts: Texts, **view: Any) -> str:
    """Render a template. A page about a `campaign` has its look."""
    view = {"head": None, "scripts": (), "is_form_wrong": view.get("field_error") is not None} | view
    campaign = view.get("campaign")
    view.setdefault("site_name", campaign.name if campaign else sender_name())
    view.setdefault("brand", page_brand(campaign) if campaign else None)
    direction = resolve_locale(texts.lang).text_direction
    return _templates.get_template(template).render(texts=texts, lang=texts.lang, direction=direction, **view)


def render_page(
    template: str,
    texts: Texts,
    *,
    status: int = 200,
    form_targets: Sequence[str] = (),
    allow_widget: bool = False,
    allow_frames: bool = False,
    scripts: Sequence[str] = (),
    **view: Any,
) -> Response:
    """Return a page as a response.

    `form_targets` are URLs of other sites that a form of this page may redirect to: browsers apply the policy's
    `form-action` to redirects too. `allow_widget` lets the page run the widget, and `allow_frames` lets it frame
    pages of this service. `scripts` are static files; `pages.js` is for buttons that need a script. `head` in
    the view makes the page one that search engines may show.
    """
    html = render_html(template, texts, status=status, scripts=scripts, **view)
    response = Response(html, status, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _content_security_policy(
        form_targets, allow_widget=allow_widget, allow_frames=allow_frames, has_script=bool(scripts)
    )
    response.headers["Permissions-Policy"] = PERMISSIONS_POLICY
    response.headers["Content-Language"] = texts.lang
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.vary.update(("Accept", "Accept-Language"))
    return response


def sender_name() -> str:
    """Return the display name that the service's emails are sent under."""
    return parseaddr(current_container().settings.mail.sender)[0] or "Mainstay"


def _content_security_policy(
    form_targets: Sequence[str], *, allow_widget: bool, allow_frames: bool, has_script: bool
) -> str:
    """Return a Content-Security-Policy (CSP level 3) that allows only what the page needs."""
    origins = dict.fromkeys(origin_of(url) for url in (current_container().urls.public_url, *form_targets))
    directives = [
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self' data:",
        f"form-action 'self' {' '.join(origins)}",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "require-trusted-types-for 'script'",
    ]
    if allow_widget or has_script:
        directives.append("script-src 'self'")
    if allow_widget:
        directives.append("connect-src 'self'")
    if allow_frames:
        directives.append("frame-src 'self'")
    return "; ".join(directives)

"""A campaign's own look on the pages: its stylesheet, its logo, and the images for emails and the box."""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import NotFound

from schemas.colours import (
    DARK_GROUND,
    EDGE_CONTRAST,
    LIGHT_GROUND,
    TEXT_CONTRAST,
    hover_colour,
    nearest_colour,
    text_colour_on,
)
from service.db.models.campaign import Campaign
from service.domain.campaigns.brand import shown_size
from service.domain.campaigns.definitions import DEFAULT_SLUG, default_campaign_slug
from service.domain.errors import CampaignNotFound
from service.pages.static_files import HASHED_CACHE
from service.web import current_container, read_only

HEADING_FONTS = {
    "serif": "var(--serif)",
    "sans": '"Helvetica Neue", Helvetica, Arial, "Noto Sans", sans-serif',
    "system": "var(--sans)",
}
IMAGE_TYPES = {"png": "image/png", "webp": "image/webp", "svg": "image/svg+xml"}
# A drawing is shown as an image, which runs nothing. Opened as a page of its own, it must not either.
IMAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"

brand = Blueprint("brand", __name__, url_prefix="/brand")


@dataclass(frozen=True)
class Logo:
    """An image with the size at which it is shown, in CSS pixels."""

    url: str
    width: int
    height: int


@dataclass(frozen=True)
class PageBrand:
    """What a page shows of the brand of a campaign, whose `name` the logo says; None is Mainstay's own."""

    name: str
    stylesheet_url: str | None
    logo: Logo | None
    logo_dark: Logo | None


def page_brand(campaign: Campaign) -> PageBrand:
    look = campaign.brand
    css = stylesheet(look)
    return PageBrand(
        campaign.name,
        f"/brand/{campaign.slug}.css?v={_hash(css)}" if css else None,
        _logo(look.get("logo")),
        _logo(look.get("logo_dark")),
    )


def default_brand() -> PageBrand | None:
    """Return the look of pages that are about no campaign: that of the newsroom's default one, if there is one."""
    with suppress(CampaignNotFound):
        return page_brand(default_campaign())
    return None


def default_campaign() -> Campaign:
    """Return the campaign `default`, else the oldest one.

    Raises:
        CampaignNotFound: there is none.
    """
    cache = current_container().campaign_cache
    with suppress(CampaignNotFound):
        return cache.get(DEFAULT_SLUG)
    with read_only() as session:
        slug = default_campaign_slug(session)
    return cache.get(slug)


def stylesheet(look: Mapping[str, Any]) -> str:
    """Return the CSS that follows `pages.css`, which says what the custom properties are for; "" for none."""
    return _stylesheet(look.get("accent"), look.get("on_accent"), look.get("heading_font"))


@brand.get("/<slug>.css")
def brand_stylesheet(slug: str) -> Response:
    css = stylesheet(current_container().campaign_cache.get(slug).brand)
    response = Response(css, content_type="text/css; charset=utf-8")
    response.set_etag(_hash(css))
    response.headers["Cache-Control"] = HASHED_CACHE if request.args.get("v") == _hash(css) else "no-cache"
    response.make_conditional(request)
    return response


@brand.get("/images/<name>")
def brand_image(name: str) -> Response:
    """Serve a logo to any site. Its name has a hash of its content in it, so it never changes.

    Raises:
        NotFound: there is no such image.
    """
    content = current_container().image_cache.get(name)
    if content is None:
        raise NotFound
    response = Response(content, content_type=IMAGE_TYPES[name.rpartition(".")[2]])
    response.set_etag(hashlib.sha256(content).hexdigest()[:32])
    response.headers["Cache-Control"] = HASHED_CACHE
    response.headers["Content-Security-Policy"] = IMAGE_POLICY
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.make_conditional(request)
    return response


@lru_cache(maxsize=64)
def _stylesheet(accent: str | None, on_accent: str | None, heading_font: str | None) -> str:
    css = ""
    if accent is not None:
        fills = {"accent": accent, "on-accent": on_accent or text_colour_on(accent)}
        fills["accent-hover"] = hover_colour(accent, fills["on-accent"])
        css += _rule(fills | _text_colours(accent, LIGHT_GROUND))
        css += f"@media (prefers-color-scheme: dark) {{\n{_rule(fills | _text_colours(accent, DARK_GROUND))}}}\n"
    if heading_font is not None:
        css += _rule({"heading-font": HEADING_FONTS[heading_font]})
    return css


def _text_colours(accent: str, ground: str) -> dict[str, str]:
    return {
        "accent-text": nearest_colour(accent, ground, TEXT_CONTRAST),
        "accent-edge": nearest_colour(accent, ground, EDGE_CONTRAST),
    }


def _rule(properties: Mapping[str, str]) -> str:
    return ":root {\n" + "".join(f"  --{name}: {value};\n" for name, value in properties.items()) + "}\n"


def _hash(css: str) -> str:
    return hashlib.sha256(css.encode()).hexdigest()[:16]


def _logo(name: str | None) -> Logo | None:
    return None if name is None else Logo(f"/brand/images/{name}", *shown_size(name))

"""The colours and fonts of an email: a campaign's own, or Mainstay's."""

from dataclasses import dataclass
from functools import lru_cache

from schemas.colours import (
    DARK_GROUND,
    EDGE_CONTRAST,
    LIGHT_GROUND,
    TEXT_CONTRAST,
    nearest_colour,
    text_colour_on,
)

# Only fonts that a reader's device has: an email loads nothing but the logo.
SANS = "system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',Arial,sans-serif"
HEADING_FONTS = {
    "serif": "Georgia,'Times New Roman',serif",
    "sans": "'Helvetica Neue',Helvetica,Arial,'Noto Sans',sans-serif",
    "system": SANS,
}


@dataclass(frozen=True, kw_only=True)
class EmailColours:
    """The fill of the button with the text on it and its edge, and the colour of links, on one ground."""

    fill: str
    on_fill: str
    edge: str
    link: str


OWN_COLOURS = (
    EmailColours(fill="#0f5c4e", on_fill="#ffffff", edge="#0f5c4e", link="#0f5c4e"),
    EmailColours(fill="#9ad2c6", on_fill="#10211d", edge="#9ad2c6", link="#9ad2c6"),
)


@lru_cache(maxsize=256)
def email_colours(accent: str | None, on_accent: str | None) -> tuple[EmailColours, EmailColours]:
    """Return the colours on a light and on a dark ground; Mainstay's own without an accent."""
    if accent is None:
        return OWN_COLOURS
    on_fill = on_accent or text_colour_on(accent)
    light, dark = (
        EmailColours(
            fill=accent,
            on_fill=on_fill,
            edge=nearest_colour(accent, ground, EDGE_CONTRAST),
            link=nearest_colour(accent, ground, TEXT_CONTRAST),
        )
        for ground in (LIGHT_GROUND, DARK_GROUND)
    )
    return light, dark

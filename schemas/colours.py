"""Colours of a brand: their contrast by WCAG 2.2, and the nearest ones that are readable.

Colours are written `#rrggbb`. Lightness is that of OKLCH (https://bottosson.github.io/posts/oklab/), in which a
step looks equally large for every hue.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

HEX_COLOUR = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})", re.IGNORECASE)
# WCAG 2.2, success criteria 1.4.3 (text) and 1.4.11 (borders and focus rings).
TEXT_CONTRAST, EDGE_CONTRAST = 4.5, 3.0
WHITE, NEAR_BLACK, BLACK = "#ffffff", "#1d1b18", "#000000"
# The grounds of pages, box and emails on which a brand's colour is hardest to read (tests compare them with the
# stylesheets): the darkest of the light theme, and the lightest of the dark one.
LIGHT_GROUND, DARK_GROUND = "#f3efe4", "#2a2925"
LIGHTNESS_STEP = 0.005
# Two fills with this contrast are told apart when one replaces the other.
VISIBLE_CONTRAST = 1.2

_RGB = tuple[float, float, float]


def normalise_colour(text: str) -> str:
    """Return a colour as `#rrggbb` in lower case.

    Raises:
        ValueError: it is neither `#rgb` nor `#rrggbb`.
    """
    if not HEX_COLOUR.fullmatch(text):
        raise ValueError("not a colour")
    digits = text[1:].lower()
    return "#" + (digits if len(digits) == 6 else "".join(digit * 2 for digit in digits))


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, from 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def text_colour_on(fill: str) -> str:
    """Return the colour for text on a fill: white, else nearly black, else black, whichever is readable."""
    return next(colour for colour in (WHITE, NEAR_BLACK, BLACK) if contrast(colour, fill) >= TEXT_CONTRAST)


@lru_cache(maxsize=256)
def nearest_colour(colour: str, ground: str, ratio: float) -> str:
    """Return the colour of the same hue, nearest in lightness, that has this contrast with the ground.

    It is the colour itself if that has it. Black or white has a contrast of 4.58 with any ground, and `ratio` must
    not be more.
    """
    return next(each for each in shades(colour) if contrast(each, ground) >= ratio)


def shades(colour: str) -> Iterator[str]:
    """Yield the colour and then its shades of other lightness, the nearest first."""
    yield colour
    lightness, chroma, hue = _to_oklch(colour)
    for step in range(1, math.ceil(1 / LIGHTNESS_STEP) + 1):
        for other in (lightness - step * LIGHTNESS_STEP, lightness + step * LIGHTNESS_STEP):
            if 0 <= other <= 1:
                yield _from_oklch(other, chroma, hue)


def hover_colour(fill: str, text: str) -> str:
    """Return the nearest shade of a fill that looks different, and on which the text is readable."""
    return next(
        shade
        for shade in shades(fill)
        if contrast(shade, fill) >= VISIBLE_CONTRAST and contrast(shade, text) >= TEXT_CONTRAST
    )


def _channels(colour: str) -> _RGB:
    red, green, blue = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return red, green, blue


def _linear(channels: Iterable[float]) -> Iterator[float]:
    return (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels)


def _luminance(colour: str) -> float:
    """Return the relative luminance (WCAG 2.2)."""
    return sum(map(float.__mul__, (0.2126, 0.7152, 0.0722), _linear(_channels(colour))))


def _multiply(matrix: Sequence[_RGB], vector: Iterable[float]) -> list[float]:
    values = tuple(vector)
    return [sum(map(float.__mul__, row, values)) for row in matrix]


# From linear sRGB to the responses of the eye's cones, from their cube roots to OKLab, and both inverses.
_RGB_TO_CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_CONES_TO_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
_LAB_TO_CONES = (
    (1.0, 0.3963377774, 0.2158037573),
    (1.0, -0.1055613458, -0.0638541728),
    (1.0, -0.0894841775, -1.2914855480),
)
_CONES_TO_RGB = (
    (4.0767416621, -3.3077115913, 0.2309699292),
    (-1.2684380046, 2.6097574011, -0.3413193965),
    (-0.0041960863, -0.7034186147, 1.7076147010),
)


def _to_oklch(colour: str) -> tuple[float, float, float]:
    cones = _multiply(_RGB_TO_CONES, _linear(_channels(colour)))
    lightness, a, b = _multiply(_CONES_TO_LAB, (math.cbrt(each) for each in cones))
    return lightness, math.hypot(a, b), math.atan2(b, a)


def _from_oklch(lightness: float, chroma: float, hue: float) -> str:
    """Return the colour, less vivid where a screen cannot show it as vivid as that."""
    vivid, rgb = chroma, _linear_rgb(lightness, chroma, hue)
    if not _is_displayable(rgb):
        grey = 0.0
        for _ in range(12):
            middle = (grey + vivid) / 2
            grey, vivid = (
                (middle, vivid) if _is_displayable(_linear_rgb(lightness, middle, hue)) else (grey, middle)
            )
        rgb = _linear_rgb(lightness, grey, hue)
    return "#" + "".join(f"{round(255 * _encoded(each)):02x}" for each in rgb)


def _linear_rgb(lightness: float, chroma: float, hue: float) -> list[float]:
    cones = _multiply(_LAB_TO_CONES, (lightness, chroma * math.cos(hue), chroma * math.sin(hue)))
    return _multiply(_CONES_TO_RGB, (each**3 for each in cones))


def _is_displayable(rgb: Iterable[float]) -> bool:
    return all(-0.0005 <= each <= 1.0005 for each in rgb)


def _encoded(linear: float) -> float:
    bounded = min(max(linear, 0.0), 1.0)
    return 12.92 * bounded if bounded <= 0.0031308 else 1.055 * bounded ** (1 / 2.4) - 0.055

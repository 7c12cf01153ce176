"""Colours: contrast by WCAG 2.2, and the nearest colours that are readable."""

import re
from itertools import takewhile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import service.pages.static_files
from schemas.colours import (
    DARK_GROUND,
    EDGE_CONTRAST,
    LIGHT_GROUND,
    TEXT_CONTRAST,
    VISIBLE_CONTRAST,
    contrast,
    hover_colour,
    nearest_colour,
    normalise_colour,
    shades,
    text_colour_on,
)

PAGES_CSS = Path(service.pages.static_files.__file__).with_name("static") / "pages.css"
COLOURS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#ffffff", "#ffffff", 1.0),
        # The greys on either side of the limit on white, as in the W3C's techniques.
        ("#767676", "#ffffff", 4.54),
        ("#777777", "#ffffff", 4.48),
        ("#0000ff", "#ffffff", 8.59),
        ("#ff0000", "#ffffff", 4.00),
    ],
)
def test_contrast_is_that_of_wcag(one: str, other: str, ratio: float) -> None:
    assert contrast(one, other) == pytest.approx(ratio, abs=0.005)
    assert contrast(other, one) == contrast(one, other)


@pytest.mark.parametrize(("text", "colour"), [("#ABC", "#aabbcc"), ("#0F5c4e", "#0f5c4e")])
def test_colour_is_normalised(text: str, colour: str) -> None:
    assert normalise_colour(text) == colour


@pytest.mark.parametrize(
    "text", ["", "#", "#ab", "#abcd", "#abcde", "#aabbccdd", "red", "0f5c4e", "#gggggg", "#٣٣"]
)
def test_other_notations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a colour"):
        normalise_colour(text)


@given(COLOURS)
@settings(deadline=None)
@example("#757575")
def test_text_on_any_fill_is_readable(fill: str) -> None:
    assert contrast(text_colour_on(fill), fill) >= TEXT_CONTRAST


@given(COLOURS, COLOURS)
@settings(deadline=None)
@example("#ffffff", "#757575")
@example("#000000", "#757575")
def test_nearest_colour_passes_and_no_closer_shade_does(colour: str, ground: str) -> None:
    found = nearest_colour(colour, ground, TEXT_CONTRAST)
    assert contrast(found, ground) >= TEXT_CONTRAST
    closer = takewhile(lambda shade: shade != found, shades(colour))
    assert max((contrast(shade, ground) for shade in closer), default=0) < TEXT_CONTRAST


@given(COLOURS)
@settings(deadline=None)
def test_shades_begin_with_the_colour_and_reach_both_ends(colour: str) -> None:
    found = list(shades(colour))
    assert found[0] == colour
    assert any(contrast(shade, "#ffffff") > 18 for shade in found)
    assert any(contrast(shade, "#000000") > 18 for shade in found)


@given(COLOURS)
@settings(deadline=None)
def test_accent_is_readable_as_text_and_visible_as_an_edge_in_both_themes(accent: str) -> None:
    for ground in (LIGHT_GROUND, DARK_GROUND):
        assert contrast(nearest_colour(accent, ground, TEXT_CONTRAST), ground) >= TEXT_CONTRAST
        assert contrast(nearest_colour(accent, ground, EDGE_CONTRAST), ground) >= EDGE_CONTRAST


@given(COLOURS)
@settings(deadline=None)
@example("#000000")
@example("#ffffff")
def test_hover_looks_different_and_stays_readable(fill: str) -> None:
    text = text_colour_on(fill)
    hover = hover_colour(fill, text)
    assert contrast(hover, fill) >= VISIBLE_CONTRAST
    assert contrast(hover, text) >= TEXT_CONTRAST


@pytest.mark.parametrize(("theme", "ground"), [(0, LIGHT_GROUND), (1, DARK_GROUND)], ids=["light", "dark"])
def test_no_ground_of_the_pages_is_harder_to_read_on(theme: int, ground: str) -> None:
    """The derived colours are tested against one ground per theme, so every other must be easier."""
    block = re.findall(r":root \{(.*?)\}", PAGES_CSS.read_text(encoding="utf-8"), flags=re.DOTALL)[theme]
    grounds = re.findall(r"--(?:ground|paper|field): (#\w+);", block)
    assert len(grounds) == 3
    text = "#000000" if theme == 0 else "#ffffff"
    for each in grounds:
        assert contrast(normalise_colour(each), text) >= contrast(ground, text)

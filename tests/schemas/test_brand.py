"""The brand in a campaign file: colours are normalised, and unreadable ones refused with the nearest one."""

import re
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from schemas.brand import COLOUR_HINT, BrandSchema
from schemas.colours import TEXT_CONTRAST, contrast

COLOURS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")
IMAGE = "0123456789abcdef0123456789abcdef-640x100.svg"


def refusal(**brand: Any) -> Any:
    with pytest.raises(ValidationError) as caught:
        BrandSchema().load(brand)
    return caught.value.messages


def test_brand_is_normalised() -> None:
    brand = {"accent": "#B00", "on_accent": " #FFFFFF", "heading_font": "sans", "postal_address": " 1 Quay\nPort "}
    assert BrandSchema().load(brand | {"logo": IMAGE, "logo_dark": None}) == {
        "accent": "#bb0000",
        "on_accent": "#ffffff",
        "heading_font": "sans",
        "postal_address": "1 Quay\nPort",
        "logo": IMAGE,
        "logo_dark": None,
    }


def test_unreadable_text_is_refused_with_the_contrast_and_the_nearest_accent() -> None:
    [message] = refusal(accent="#f2c94c", on_accent="#fff")["accent"]
    assert message.split(". ") == [
        "Text in #ffffff on #f2c94c has a contrast of 1.58:1 and needs 4.5:1",
        "The nearest accent that passes is #917300",
        "Or leave out on_accent: text is then #1d1b18.",
    ]


@given(COLOURS, COLOURS)
@settings(deadline=None)
def test_suggested_accent_is_accepted(accent: str, on_accent: str) -> None:
    assume(contrast(accent, on_accent) < TEXT_CONTRAST)
    [message] = refusal(accent=accent, on_accent=on_accent)["accent"]
    suggested = re.search(r"passes is (#\w+)", message)
    assert suggested
    assert BrandSchema().load({"accent": suggested[1], "on_accent": on_accent})
    assert BrandSchema().load({"accent": accent})


@pytest.mark.parametrize("value", [None, "red", "0f5c4e", 123, "#12345"])
def test_colour_without_quotes_is_explained(value: Any) -> None:
    """In YAML, `accent: #0f5c4e` is an accent that is null, followed by a comment."""
    assert refusal(accent=value) == {"accent": [COLOUR_HINT]}


@pytest.mark.parametrize(
    ("brand", "errors"),
    [
        ({"on_accent": "#fff"}, {"on_accent": ["Give accent too: this is the text on it."]}),
        ({"heading_font": "comic"}, {"heading_font": ["Give one of serif, sans, system."]}),
        (
            {"logo": "../secret"},
            {"logo": ["Give the name that mainstay campaign brand --logo FILE prints, or null."]},
        ),
        ({"colour": "#fff"}, {"colour": ["Unknown field."]}),
        ({"logodark": IMAGE}, {"logodark": ["Unknown field; did you mean 'logo_dark'?"]}),
        ({"postal_address": "x" * 501}, {"postal_address": ["Use at most 500 characters."]}),
    ],
)
def test_other_mistakes_are_explained(brand: dict[str, Any], errors: dict[str, list[str]]) -> None:
    assert refusal(**brand) == errors

"""The pages' stylesheet mirrors by itself for languages that are written from right to left."""

import re
from pathlib import Path

import pytest

from service.pages import static_files

STYLESHEETS = sorted((Path(static_files.__file__).parent / "static").glob("*.css"))
DECLARATION = re.compile(r"(?P<name>[-\w]+)\s*:\s*(?P<value>[^;{}]+)[;}]")
PHYSICAL_NAME = re.compile(r"(^|-)(left|right)($|-)")
DIRECTIONAL_VALUE = re.compile(r"^(left|right)$|translateX|translate3d")
# Their four values go round the box: top, right, bottom, left.
FOUR_SIDED = {"margin", "padding", "border-width", "border-color", "border-style", "inset"}
SIDES = 4


def physical_declarations(css: str) -> list[str]:
    """Return the declarations that name the left or the right side of the screen."""
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    found = []
    for match in DECLARATION.finditer(css):
        name, value = match["name"], match["value"].strip()
        parts = re.split(r"\s+(?![^(]*\))", value)
        is_lopsided = name in FOUR_SIDED and len(parts) == SIDES and parts[1] != parts[3]
        if PHYSICAL_NAME.search(name) or DIRECTIONAL_VALUE.search(value) or is_lopsided:
            found.append(f"{name}: {value}")
    return found


@pytest.mark.parametrize("file", STYLESHEETS, ids=lambda file: file.name)
def test_stylesheet_has_no_physical_sides(file: Path) -> None:
    assert physical_declarations(file.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "declaration",
    [
        "margin-left: 1px",
        "right: 0",
        "border-right-color: red",
        "text-align: left",
        "float: right",
        "padding: 1px 2px 1px 0",
        "transform: translateX(1px)",
    ],
)
def test_physical_side_is_found(declaration: str) -> None:
    assert physical_declarations(f"a {{ color: red; {declaration}; }}") == [declaration]


@pytest.mark.parametrize(
    "declaration",
    ["margin-inline-start: 1px", "padding: 1px 2px 3px 2px", "margin: 0 calc(1px + 2px)", "text-align: start"],
)
def test_logical_side_is_accepted(declaration: str) -> None:
    assert physical_declarations(f"a {{ {declaration}; }}") == []

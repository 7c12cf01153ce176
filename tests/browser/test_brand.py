"""A newsroom's own look in a browser: its colours as they are computed, and their contrast on every page."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from schemas.colours import DARK_GROUND, LIGHT_GROUND, TEXT_CONTRAST, nearest_colour, text_colour_on
from tests.browser.accessibility import check_page
from tests.browser.accounts import create_paid_pledge, pledge_page_url, session_cookie
from tests.browser.live_server import LiveServer
from tests.logos import DRAWING

ACCENTS = {"yellow": "#ffd500", "dark red": "#7a0c0c", "pale blue": "#bcd7f5"}
GROUNDS = (("light", LIGHT_GROUND), ("dark", DARK_GROUND))


@pytest.fixture(params=ACCENTS.values(), ids=ACCENTS)
def accent(request: pytest.FixtureRequest, live_server: LiveServer, tmp_path: Path) -> Iterator[str]:
    """Give the default campaign this accent and a logo, and make it as it was again."""
    before = tmp_path / "before.yaml"
    before.write_text(live_server.run_command("campaign", "show", "default"), encoding="utf-8")
    (tmp_path / "logo.svg").write_bytes(DRAWING)
    look = {"logo": "logo.svg", "logo_dark": None, "accent": request.param, "heading_font": "sans"}
    live_server.apply_campaign(tmp_path, brand=look)
    yield request.param
    live_server.run_command("campaign", "apply", str(before))


def rgb(colour: str) -> str:
    return f"rgb({', '.join(str(int(colour[start : start + 2], 16)) for start in (1, 3, 5))})"


def test_brand_is_readable_on_every_page_in_both_themes(live_server: LiveServer, page: Page, accent: str) -> None:
    page.goto("/support/default")
    logo = page.get_by_role("banner").get_by_role("img")
    expect(logo).to_have_js_property("naturalWidth", 400)
    assert logo.bounding_box()["width"] == 224
    button = page.locator(".gift .main-button")
    for scheme, ground in GROUNDS:
        page.emulate_media(color_scheme=scheme)
        expect(button).to_have_css("background-color", rgb(accent))
        expect(button).to_have_css("color", rgb(text_colour_on(accent)))
        page.locator("[name=other_amount]").focus()
        ring = page.locator(".well:focus-within")
        expect(ring).to_have_css("outline-color", rgb(nearest_colour(accent, ground, TEXT_CONTRAST)))
        plate = "rgba(0, 0, 0, 0)" if scheme == "light" else rgb("#fdfcfa")
        expect(logo).to_have_css("background-color", plate)
    expect(page.get_by_role("heading", level=1)).to_have_css("font-family", re.compile("Helvetica Neue"))
    check_page(page, f"support page in {accent}")

    email = f"brand-{accent[1:]}@example.org"
    pledge_id = create_paid_pledge(live_server, page, email)
    check_page(page, f"thank-you page in {accent}")
    page.goto(pledge_page_url(live_server, pledge_id))
    page.locator("a[href*='/receipt']").first.click()
    check_page(page, f"receipt in {accent}")
    page.emulate_media(media="print", color_scheme="light")
    expect(page.get_by_role("banner").get_by_role("img")).to_be_visible()
    page.emulate_media(media="screen")
    page.context.add_cookies([session_cookie(live_server, email)])
    page.goto("/me")
    expect(page.get_by_role("banner").get_by_role("img")).to_be_visible()
    check_page(page, f"account in {accent}")

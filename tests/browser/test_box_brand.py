"""The box follows the look of its campaign, in light and dark, unless the page's own CSS says otherwise."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import check_page
from tests.browser.host_site import HostSite
from tests.browser.live_server import LiveServer
from tests.browser.support_box import SupportBox

GREEN, WHITE, RED, DARK = "rgb(15, 92, 78)", "rgb(255, 255, 255)", "rgb(179, 38, 30)", "rgb(16, 33, 29)"
BRAND = {"accent": "#b3261e", "on_accent": "#ffffff", "heading_font": "sans"}


def show(page: Page, host_site: HostSite, slug: str, *, style: str = "", **options: object) -> SupportBox:
    host_site.show(f'campaign="{slug}"', is_strict=not style)
    host_site.html = host_site.html.replace("</head>", f"{style}</head>")
    page.goto(f"{host_site.base_url}/article")
    box = SupportBox(page)
    box.expect_state("form")
    return box


@pytest.fixture
def red(live_server: LiveServer, tmp_path: Path) -> str:
    live_server.apply_campaign(tmp_path, slug="red", brand=BRAND)
    return "red"


def test_accent_and_heading_font_are_those_of_the_campaign(page: Page, host_site: HostSite, red: str) -> None:
    # The page's policy forbids styles.
    box = show(page, host_site, red)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        expect(box.submit).to_have_css("background-color", RED)
        expect(box.submit).to_have_css("color", WHITE)
    assert "Helvetica" in box.heading.evaluate("heading => getComputedStyle(heading).fontFamily")


def test_accent_is_visible_on_a_dark_ground(page: Page, host_site: HostSite, red: str) -> None:
    box = show(page, host_site, red)
    border = "box => getComputedStyle(box).borderBlockStartColor"
    page.emulate_media(color_scheme="light")
    assert box.frame.evaluate(border) == RED
    page.emulate_media(color_scheme="dark")
    # A lighter shade of the same hue.
    red_value, green, blue = (int(part) for part in box.frame.evaluate(border)[4:-1].split(","))
    assert red_value > 200
    assert red_value > green
    assert red_value > blue
    expect(box.submit).to_have_css("border-top-color", box.frame.evaluate(border))


def test_css_of_the_page_wins(page: Page, host_site: HostSite, red: str) -> None:
    style = """<style>
      :root { background: Canvas; color: CanvasText }
      support-box { --support-box-accent: #000080; --support-box-heading-font: monospace }
    </style>"""
    box = show(page, host_site, red, style=style)
    expect(box.submit).to_have_css("background-color", "rgb(0, 0, 128)")
    expect(box.frame).to_have_css("border-top-color", "rgb(0, 0, 128)")
    expect(box.heading).to_have_css("font-family", "monospace")
    box.submit.hover()
    expect(box.submit).to_have_css("background-color", "rgb(0, 0, 128)")


@pytest.mark.parametrize("accent", ["#b3261e", "#ffd500", "#111111", "#fafafa", "#767676"])
def test_any_accent_is_readable_in_light_and_dark(
    page: Page, live_server: LiveServer, host_site: HostSite, tmp_path: Path, accent: str
) -> None:
    slug = f"accent-{accent[1:]}"
    live_server.apply_campaign(tmp_path, slug=slug, brand={"accent": accent})
    host_site.show(f'campaign="{slug}"', is_strict=False)
    page.goto(f"{host_site.base_url}/article")
    box = SupportBox(page)
    box.expect_state("form")
    check_page(page, accent)
    box.submit.hover()
    check_page(page, f"{accent}, under the pointer")


def test_campaign_without_a_look_has_ours(
    live_server: LiveServer, page: Page, host_site: HostSite, tmp_path: Path
) -> None:
    live_server.apply_campaign(tmp_path, slug="plain", brand=None)
    box = show(page, host_site, "plain")
    page.emulate_media(color_scheme="light")
    expect(box.submit).to_have_css("background-color", GREEN)
    expect(box.submit).to_have_css("border-top-color", GREEN)
    page.emulate_media(color_scheme="dark")
    expect(box.submit).to_have_css("color", DARK)

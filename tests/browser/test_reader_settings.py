"""Pages follow the reader's text size, colours, motion, language and text direction."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import PHONE, check_page, evaluate_check
from tests.browser.conftest import NewPage
from tests.browser.host_site import HostSite
from tests.browser.live_server import LiveServer
from tests.browser.support_box import SupportBox

PATHS = ("/support/default", "/demo", "/demo/widgets", "/dev/outbox", "/docs", "/no-such-page")
# Twice the text size, as a browser setting does it: everything in rem or em follows.
DOUBLE_FONT_SIZE = "() => { document.documentElement.style.fontSize = '200%' }"
ARABIC = {
    "lang": "ar",
    "name": "فانوس الميناء",
    "heading": "هذه الصحيفة لكم",
    "message": "القرّاء يدفعون ثمنها.",
    "texts": {"ar": {"once": "مرة واحدة", "monthly": "شهريًا", "annual": "سنويًا", "other_amount": "مبلغ آخر"}},
}


@pytest.mark.parametrize("path", PATHS)
def test_double_text_size_neither_clips_nor_scrolls_sideways(page: Page, path: str) -> None:
    page.goto(path)
    if path == "/demo":
        SupportBox(page).expect_state("form")
    page.evaluate(DOUBLE_FONT_SIZE)
    for width in (2 * PHONE, PHONE):
        page.set_viewport_size({"width": width, "height": 800})
        assert (
            evaluate_check(page, "tooWide") + evaluate_check(page, "smallTargets") + evaluate_check(page, "cutOff")
            == []
        )


def test_forced_colours_keep_selection_and_buttons_visible(
    host_site: HostSite, page: Page, live_server: LiveServer
) -> None:
    colour = "(element) => getComputedStyle(element).backgroundColor"
    border = "(element) => getComputedStyle(element).borderTopColor"
    page.emulate_media(forced_colors="active")
    for url, tiles, button in (
        (host_site.show(), "[part=option]:has(input[name=frequency])", "[part=submit]"),
        (f"{live_server.base_url}/support/default", ".tile:has([name=frequency])", ".main-button >> nth=0"),
    ):
        page.goto(url)
        chosen = page.locator(tiles).filter(has=page.locator(":checked")).locator("span")
        other = page.locator(tiles).filter(has_not=page.locator(":checked")).locator("span").first
        assert chosen.evaluate(colour) != other.evaluate(colour)
        # A button without a fill needs a visible border.
        assert page.locator(button).evaluate(border) not in (
            "rgba(0, 0, 0, 0)",
            page.locator("body").evaluate(colour),
        )


def test_reduced_motion_stops_animations(host_site: HostSite, page: Page, live_server: LiveServer) -> None:
    page.goto(host_site.show())
    box = SupportBox(page)
    page.route("**/v1/pledges", lambda _: None)
    box.continue_button.click()
    box.expect_state("submitting")
    assert evaluate_check(page, "animations") > 0
    page.emulate_media(reduced_motion="reduce")
    assert evaluate_check(page, "animations") == 0


def test_box_takes_the_language_of_its_page(host_site: HostSite, page: Page) -> None:
    page.goto(host_site.show(lang="ru"))
    box = SupportBox(page, "ru")
    box.expect_state("form")
    expect(box.frame).to_have_attribute("lang", "ru")
    expect(box.heading).to_have_text("Эта газета держится на вас")
    box.monthly.check()
    box.other_amount.fill("2,50")
    expect(box.submit).to_have_text("Продолжить — 2,50 $ в месяц")
    box.not_ready.click()
    expect(box.remind).to_be_visible()
    box.back.click()
    box.close.click()
    box.expect_state("dismissed")


def test_lang_attribute_of_the_box_overrides_the_page(host_site: HostSite, page: Page) -> None:
    page.goto(host_site.show('lang="ru"', lang="en"))
    expect(SupportBox(page).heading).to_have_text("Эта газета держится на вас")
    page.locator("support-box").evaluate("(box) => { box.lang = 'en' }")
    expect(SupportBox(page).heading).to_have_text("This paper is yours to keep")


def test_russian_locale_is_kept_from_demo_to_thank_you_page(live_server: LiveServer, new_page: NewPage) -> None:
    page = new_page(locale="ru-RU", java_script_enabled=False)
    page.goto("/demo")
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    page.locator("support-box").get_by_role("link").click()
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    page.get_by_label("Другая сумма").fill("2,50")
    page.get_by_role("button", name="Продолжить").click()
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    page.get_by_role("button", name=re.compile(r"2,50\s\$")).click()
    expect(page).to_have_url(re.compile("/thank-you"))
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    # Only the newspaper's name and the address to share are not translated.
    shared = page.locator(".shared").inner_text()
    assert re.fullmatch(r"https?://\S+", shared)
    text = page.locator("main").inner_text().replace(shared, "").replace("The Harbour Lantern", "")
    assert not re.search("[A-Za-z]{2,}", text)


def test_right_to_left_layout(live_server: LiveServer, host_site: HostSite, page: Page, tmp_path: Path) -> None:
    live_server.apply_campaign(tmp_path, slug="arabic", **ARABIC)
    page.goto(host_site.show(lang="he", direction="rtl", is_strict=False))
    english = SupportBox(page)
    english.expect_state("form")
    expect(english.frame).to_have_attribute("dir", "ltr")
    check_page(page, "an English box on a right-to-left page")

    page.goto(host_site.show('campaign="arabic"', lang="ar", direction="rtl", is_strict=False))
    arabic = SupportBox(page, "ar")
    arabic.expect_state("form")
    expect(arabic.frame).to_have_attribute("dir", "rtl")
    expect(arabic.frame).to_have_css("text-align", "start")
    close, frame = arabic.close.bounding_box(), arabic.frame.bounding_box()
    assert close["x"] - frame["x"] < frame["width"] / 2
    check_page(page, "an Arabic box")

    page.goto("/support/arabic?lang=ar")
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    check_page(page, "an Arabic support page")


def test_phone_shows_the_form_after_the_first_paragraph(live_server: LiveServer, new_page: NewPage) -> None:
    page = new_page(viewport={"width": 390, "height": 700})
    page.goto("/demo")
    box = SupportBox(page)
    box.expect_state("form")
    top, bottom = box.heading.bounding_box(), box.submit.bounding_box()
    assert bottom["y"] + bottom["height"] - top["y"] <= 700
    last = box.host.locator("p[part=message]").last
    expect(last).to_be_hidden()
    box.host.get_by_text("Read more").press("Enter")
    expect(last).to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 800})
    page.reload()
    box.expect_state("form")
    expect(last).to_be_visible()
    expect(box.host.get_by_text("Read more")).to_be_hidden()

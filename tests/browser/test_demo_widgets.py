"""The gallery `/demo/widgets`."""

import re
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Locator, Page, expect

from service.pages.demo_widgets import CAMPAIGN_LINES
from service.pages.widget_recipes import RECIPES
from tests.browser.accessibility import DESKTOP, PHONE, check_page
from tests.browser.conftest import BOTH_BROWSERS, NewPage
from tests.browser.live_server import LiveServer
from tests.browser.support_box import SupportBox
from tests.processes import ROOT

# The state that the box of each example is in.
STATES = {
    "form": "form",
    "impact": "form",
    "currencies": "form",
    "suggested": "invalid",
    "invalid": "invalid",
    "submitting": "submitting",
    "error": "error",
    "unavailable": "error",
    "busy": "error",
    "changed": "form",
    "reminder": "reminder-form",
    "picked-day": "reminder-form",
    "reminder-set": "reminder-set",
    "reminder-unconfirmed": "reminder-set",
    "dismissed": "dismissed",
    "loading": "loading",
    "loading-failed": "error",
    "closed": "form",
}


@BOTH_BROWSERS
@pytest.mark.parametrize("lang", ["en", "ar"])
def test_example_shows_its_state_without_taking_the_focus(page: Page, lang: str) -> None:
    page.goto(f"/demo/widgets?lang={lang}&theme=dark")
    frames = page.locator("#states iframe")
    expect(frames).to_have_count(len(STATES) + 1)
    for name, state in STATES.items():
        frame = page.locator(f"#state-{name} iframe")
        frame.scroll_into_view_if_needed()
        expect(frame.content_frame.locator(".box")).to_have_attribute("data-state", state)
        expect(frame.content_frame.locator(".box")).to_have_css("color-scheme", "dark")
    link = page.locator("#state-no-script iframe")
    link.scroll_into_view_if_needed()
    expect(link.content_frame.get_by_role("link")).to_be_visible()
    assert page.evaluate("() => document.activeElement.localName") == "body"


def test_copy_puts_the_snippet_on_the_clipboard(new_page: NewPage) -> None:
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto("/demo/widgets")
    example = page.locator("#placement-banner")
    example.get_by_role("button", name="Copy").click()
    expect(example.get_by_role("status")).to_have_text("Copied")
    snippet = example.locator("code").inner_text()
    assert 'placement="banner"' in snippet
    assert page.evaluate("() => navigator.clipboard.readText()") == snippet


def test_keyboard_alone_copies_a_snippet_and_uses_a_box(new_page: NewPage) -> None:
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto("/demo/widgets")
    example = page.locator("#placement-inline")
    link = page.locator("#contents").get_by_role("link", name="In the page", exact=True)
    focused: list[str] = []

    def tab_until(reached: Locator) -> None:
        for _ in range(100):
            page.keyboard.press("Tab")
            focused.append(page.evaluate("document.activeElement.localName"))
            if reached.evaluate("(element) => element.matches(':focus')"):
                return
        raise AssertionError(f"Tab does not reach {reached}: {focused}")

    tab_until(link)
    page.keyboard.press("Enter")
    expect(example).to_be_in_viewport()
    copy, frame = example.get_by_role("button", name="Copy"), example.locator("iframe").content_frame
    expect(frame.locator(".box")).to_have_attribute("data-state", "form")
    # The box comes first, then its snippet; and nothing holds the focus in the frame.
    tab_until(frame.get_by_role("radio", name="Monthly"))
    tab_until(copy)
    page.keyboard.press("Enter")
    expect(example.get_by_role("status")).to_have_text("Copied")
    expect(copy).to_be_focused()
    assert "<support-box" in page.evaluate("() => navigator.clipboard.readText()")
    tab_until(example.get_by_role("group"))
    page.keyboard.press("Shift+Tab")
    expect(copy).to_be_focused()


def test_dialog_of_the_gallery_opens_by_its_button(page: Page) -> None:
    page.goto("/demo/widgets")
    frame = page.locator("#placement-dialog iframe")
    frame.scroll_into_view_if_needed()
    frame.content_frame.get_by_role("button", name="Open the dialog").click()
    expect(frame.content_frame.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(frame.content_frame.get_by_role("dialog")).to_have_count(0)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_example_is_accessible_in_its_theme(page: Page, theme: str) -> None:
    page.goto(f"/demo/widgets/box?theme={theme}")
    SupportBox(page).expect_state("form")
    check_page(page, f"example in {theme}", ignored_rules=("page-has-heading-one",))


def test_example_of_a_changed_campaign_says_so(page: Page) -> None:
    page.goto("/demo/widgets/box?state=changed")
    box = page.locator("support-box")
    expect(box.get_by_role("status").first).to_contain_text("The minimum is $10.")
    expect(box.get_by_text("Once", exact=True)).to_have_count(0)


@pytest.mark.parametrize(
    ("lang", "label", "total"), [("en", "Add ¥27 to cover the fees", "¥727"), ("de", "27\xa0¥", "727\xa0¥")]
)
def test_example_of_several_currencies_covers_the_fees(page: Page, lang: str, label: str, total: str) -> None:
    page.goto(f"/demo/widgets/box?state=currencies&lang={lang}")
    box = SupportBox(page, lang)
    expect(box.currency.locator("option:checked")).to_contain_text("JPY")
    expect(box.fees).to_be_checked()
    expect(box.host.locator("[part=fees]")).to_contain_text(label)
    expect(box.submit).to_contain_text(total)


def test_example_of_a_picked_day_has_it_on_the_button(page: Page) -> None:
    page.goto("/demo/widgets/box?state=picked-day")
    box = SupportBox(page)
    expect(box.when.locator("option:checked")).to_have_text("On a day I choose")
    expect(box.submit).to_have_text(re.compile(r"Remind me on \w+\s\d+,\s\d{4}"))


def test_example_of_a_reminder_to_confirm_asks_for_it(page: Page) -> None:
    page.goto("/demo/widgets/box?state=reminder-unconfirmed")
    expect(page.locator("support-box").get_by_role("heading", name="Almost there!")).to_be_visible()


def test_gallery_is_complete_without_scripts(new_page: NewPage) -> None:
    page = new_page(java_script_enabled=False)
    page.goto("/demo/widgets")
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    assert page.locator("pre").count() > len(STATES) + len(RECIPES)
    page.get_by_label("Language", exact=True).select_option("de")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", name="States, in German, light")).to_be_visible()
    frame = page.locator("#state-form iframe")
    frame.scroll_into_view_if_needed()
    expect(frame.content_frame.get_by_role("link")).to_be_visible()


def test_gallery_is_accessible(page: Page) -> None:
    page.goto("/demo/widgets")
    check_page(page, "gallery", widths=(DESKTOP, PHONE))


@pytest.mark.parametrize("state", CAMPAIGN_LINES)
def test_campaign_lines_of_an_example_fit_into_a_campaign_file(
    live_server: LiveServer, tmp_path: Path, state: str
) -> None:
    live_server.apply_campaign(tmp_path, slug=state, **yaml.safe_load(CAMPAIGN_LINES[state]))


def test_guide_has_every_recipe() -> None:
    guide = (ROOT / "docs" / "widget.md").read_text(encoding="utf-8")
    for recipe in RECIPES:
        assert f"### {recipe.name}\n\n{recipe.steps}\n" in guide
        assert f"\n{recipe.snippet}\n```" in guide

"""Where the box stands, what its attributes choose, and what it remembers; in Chromium and in Firefox."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import BOTH_BROWSERS
from tests.browser.host_site import HostSite
from tests.browser.live_server import LiveServer
from tests.browser.network import CAMPAIGN, PLACEMENT_PART, PausedRoute, fail_requests, pause_requests
from tests.browser.support_box import SupportBox

pytestmark = BOTH_BROWSERS

STORED = "() => JSON.parse(localStorage.getItem('support-box:default'))"
FORGET_QUIET = "() => localStorage.setItem('support-box:default', JSON.stringify({ quietUntil: Date.now() - 1 }))"
SET_ATTRIBUTE = "(box, [name, value]) => box.setAttribute(name, value)"
DAY_MS = 24 * 60 * 60 * 1000


def open_box(page: Page, host_site: HostSite, attributes: str = "", path: str = "", **options: Any) -> SupportBox:
    page.goto(host_site.show(attributes, **options) + path)
    box = SupportBox(page)
    box.expect_state("form")
    return box


def focused_part(page: Page) -> str | None:
    return page.locator("support-box").evaluate(
        "(box) => box.shadowRoot.activeElement?.getAttribute('part') ?? null"
    )


def place_at_the_bottom(page: Page) -> dict[str, float]:
    """Return the rectangle of the box once it stands at the bottom of the window, where it rises to."""
    page.wait_for_function(
        """() => {
            const { shadowRoot } = document.querySelector("support-box");
            return Math.abs(innerHeight - shadowRoot.querySelector(".box").getBoundingClientRect().bottom) < 1;
        }"""
    )
    return SupportBox(page).frame.bounding_box()


def test_attributes_make_the_first_choice(host_site: HostSite, page: Page) -> None:
    box = open_box(page, host_site, 'frequency="once" amount="5000"')
    expect(box.once).to_be_checked()
    expect(box.submit).to_have_text("Continue – $50 once")
    expect(box.other_amount).to_have_value("")
    box = open_box(page, host_site, 'amount="1250"')
    expect(box.other_amount).to_have_value("12.50")
    expect(box.submit).to_have_text("Continue – $12.50 a month")


def test_attributes_are_observed_while_the_box_is_live(host_site: HostSite, page: Page) -> None:
    box = open_box(page, host_site)
    box.host.evaluate(SET_ATTRIBUTE, ["frequency", "annual"])
    expect(box.annual).to_be_checked()
    box.host.evaluate(SET_ATTRIBUTE, ["amount", "2500"])
    expect(box.submit).to_have_text("Continue – $25 a year")
    expect(box.not_ready).to_be_visible()
    box.host.evaluate(SET_ATTRIBUTE, ["reminder", "off"])
    expect(box.not_ready).to_have_count(0)
    box.host.evaluate("(box) => box.removeAttribute('reminder')")
    expect(box.not_ready).to_be_visible()
    message = box.host.locator("[part=body] > [part=message]").first
    box.host.evaluate(SET_ATTRIBUTE, ["compact", ""])
    expect(message).to_be_hidden()
    # The other paragraphs are behind "Read more" on a phone, and open on a desktop.
    expect(box.host.locator("details")).to_be_hidden()
    box.host.evaluate("(box) => box.removeAttribute('compact')")
    expect(message).to_be_visible()
    expect(box.host.locator("details")).to_be_visible()


def test_campaign_and_language_change_while_the_box_is_live(
    host_site: HostSite, page: Page, live_server: LiveServer, tmp_path: Path
) -> None:
    live_server.apply_campaign(tmp_path, slug="other", default_frequency="once")
    box = open_box(page, host_site)
    expect(box.submit).to_have_text("Continue – $7 a month")
    box.host.evaluate(SET_ATTRIBUTE, ["campaign", "other"])
    expect(box.once).to_be_checked()
    box.host.evaluate(SET_ATTRIBUTE, ["lang", "de"])
    german = SupportBox(page, "de")
    expect(german.once).to_be_checked()
    expect(box.frame).to_have_attribute("lang", "de")
    box.host.evaluate("(box) => box.removeAttribute('campaign')")
    expect(german.monthly).to_be_checked()
    box.host.evaluate("(box) => box.removeAttribute('lang')")
    expect(box.submit).to_have_text("Continue – $7 a month")


@pytest.mark.parametrize("storage", ["", 'storage="local"'])
def test_placement_changes_while_the_box_is_live(host_site: HostSite, page: Page, storage: str) -> None:
    box = open_box(page, host_site, storage)
    box.host.evaluate(SET_ATTRIBUTE, ["placement", "banner"])
    expect(box.expand).to_be_visible()
    place_at_the_bottom(page)
    box.host.evaluate("(box) => box.removeAttribute('placement')")
    expect(box.once).to_be_visible()
    expect(box.expand).to_have_count(0)
    assert page.evaluate("() => document.documentElement.style.scrollPaddingBlockEnd") == ""
    box.host.evaluate(SET_ATTRIBUTE, ["placement", "dialog"])
    expect(box.host).to_be_hidden()
    box.host.evaluate("(box) => box.open()")
    expect(box.dialog).to_be_visible()
    box.host.evaluate(SET_ATTRIBUTE, ["placement", "inline"])
    expect(box.dialog).to_have_count(0)
    expect(box.once).to_be_visible()


def test_storage_changes_while_the_box_is_live(host_site: HostSite, page: Page) -> None:
    box = open_box(page, host_site)
    assert page.evaluate(STORED) is None
    box.host.evaluate(SET_ATTRIBUTE, ["storage", "local"])
    page.wait_for_function(f"() => ({STORED})()?.views === 1")
    box.expect_state("form")
    box.close.click()
    box.expect_state("dismissed")
    assert page.evaluate(STORED)["quietUntil"]
    box.host.evaluate("(box) => box.removeAttribute('storage')")
    box.undo.click()
    box.expect_state("form")
    assert page.evaluate(STORED)["quietUntil"]


def set_attribute_slowly(box: SupportBox, name: str, value: str) -> PausedRoute:
    """Set an attribute, and return the request with which the box begins anew."""
    paused = pause_requests(box.page, CAMPAIGN)
    box.host.evaluate(SET_ATTRIBUTE, [name, value])
    paused.wait_for_request()
    return paused


def test_attribute_that_keeps_its_value_keeps_the_choice(host_site: HostSite, page: Page) -> None:
    box = open_box(page, host_site, 'amount="1200" storage="local"')
    box.choose("Once", "3")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    box.host.evaluate(SET_ATTRIBUTE, ["amount", "1200"])
    page.wait_for_timeout(300)
    assert requests == []
    expect(box.submit).to_have_text("Continue – $3 once")


def test_box_that_is_opened_while_its_attributes_are_read_stays_open(host_site: HostSite, page: Page) -> None:
    box = open_box(page, host_site)
    paused = set_attribute_slowly(box, "placement", "banner")
    box.host.evaluate("(box) => box.open()")
    paused.resume()
    paused.resume()
    expect(box.frame).to_have_attribute("data-placement", "banner")
    page.wait_for_timeout(300)
    expect(box.expand).to_have_count(0)
    expect(box.submit).to_have_text("Continue – $7 a month")


def test_box_that_is_closed_while_its_attributes_are_read_stays_closed(host_site: HostSite, page: Page) -> None:
    box = open_box(page, host_site)
    paused = set_attribute_slowly(box, "amount", "1200")
    box.close.click()
    paused.resume()
    page.wait_for_timeout(300)
    box.expect_state("dismissed")
    box.undo.click()
    paused.resume()
    expect(box.submit).to_have_text("Continue – $12 a month")


@pytest.mark.parametrize("placement", ["inline", "banner", "dialog"])
def test_closed_box_reads_its_attributes_again_on_undo(host_site: HostSite, page: Page, placement: str) -> None:
    box = open_box(page, host_site)
    box.close.click()
    box.host.evaluate(SET_ATTRIBUTE, ["placement", placement])
    box.host.evaluate(SET_ATTRIBUTE, ["amount", "1200"])
    page.wait_for_timeout(300)
    box.expect_state("dismissed")
    box.undo.click()
    expect(box.submit).to_have_text("Continue – $12 a month")
    expect(box.host.locator("dialog:modal")).to_have_count(1 if placement == "dialog" else 0)


def test_box_that_is_removed_while_its_attributes_are_read_reads_them_again(
    host_site: HostSite, page: Page
) -> None:
    box = open_box(page, host_site)
    paused = set_attribute_slowly(box, "amount", "1200")
    page.evaluate("window.removed = document.querySelector('support-box'); removed.remove()")
    paused.resume()
    page.wait_for_timeout(300)
    page.evaluate("document.body.append(removed)")
    paused.resume()
    expect(box.submit).to_have_text("Continue – $12 a month")


def test_currency_attribute_chooses_among_those_of_the_campaign(
    host_site: HostSite, page: Page, box: SupportBox
) -> None:
    box = open_box(page, host_site, 'campaign="three-currencies" currency="JPY" frequency="once"')
    expect(box.currency).to_have_value("JPY – Japanese Yen")
    expect(box.submit).to_have_text(re.compile("¥1,500"))


@pytest.mark.parametrize(
    ("attributes", "warning"),
    [
        ('frequency="weekly"', 'frequency="weekly": use once, monthly, annual'),
        ('amount="7.50"', 'amount="7.50": use a whole number from 200 to 1000000'),
        ('amount="7"', 'amount="7": use a whole number from 200 to 1000000'),
        ('currency="EUR"', 'currency="EUR": use USD'),
        ('placement="popup"', 'placement="popup": use inline, banner, dialog'),
        ('reminder="no"', 'reminder="no": use off'),
        ('storage="session"', 'storage="session": use local'),
        ('theme="blue"', 'theme="blue": use light, dark'),
        ('placement="inline" after-views="0"', 'after-views="0": use a whole number from 1 to 1000'),
    ],
)
def test_invalid_attribute_is_ignored_with_a_warning_that_names_valid_ones(
    host_site: HostSite, page: Page, expected_console_errors: list[str], attributes: str, warning: str
) -> None:
    expected_console_errors.append("<support-box> ignores")
    warnings: list[str] = []
    page.on("console", lambda message: warnings.append(message.text))
    box = open_box(page, host_site, attributes)
    expect(box.submit).to_have_text("Continue – $7 a month")
    assert [text for text in warnings if "ignores" in text] == [f"<support-box> ignores {warning}"]


def test_closing_leaves_a_line_with_undo_and_keeps_the_choice(host_site: HostSite, page: Page) -> None:
    box = open_box(page, host_site)
    box.choose("Once", "12")
    box.close.click()
    box.expect_state("dismissed")
    expect(box.frame.get_by_role("status")).to_have_text("Hidden.")
    assert focused_part(page) == "message"
    expect(box.close).to_be_hidden()
    page.keyboard.press("Tab")
    expect(box.undo).to_be_focused()
    page.keyboard.press("Enter")
    box.expect_state("form")
    expect(box.submit).to_have_text("Continue – $12 once")
    assert focused_part(page) == "heading"
    assert page.evaluate("() => localStorage.length + sessionStorage.length") == 0


def test_box_with_storage_stays_hidden_for_its_quiet_days(host_site: HostSite, page: Page) -> None:
    box = open_box(page, host_site, 'storage="local" quiet-days="7"')
    box.close.click()
    box.expect_state("dismissed")
    stored = page.evaluate(STORED)
    assert 6.9 * DAY_MS < stored["quietUntil"] - page.evaluate("() => Date.now()") <= 7 * DAY_MS
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.reload()
    expect(box.host).to_be_hidden()
    assert not [url for url in requests if "/v1/" in url]
    page.evaluate(FORGET_QUIET)
    page.reload()
    box.expect_state("form")


def test_undo_forgets_that_the_box_was_closed(host_site: HostSite, page: Page) -> None:
    box = open_box(page, host_site, 'storage="local"')
    box.close.click()
    box.undo.click()
    box.expect_state("form")
    page.reload()
    box.expect_state("form")


@pytest.mark.parametrize(
    "attributes", ['storage="local"', 'placement="banner"', 'placement="banner" storage="local"']
)
def test_undo_and_open_move_the_focus_to_the_heading(host_site: HostSite, page: Page, attributes: str) -> None:
    box = open_box(page, host_site, attributes)
    box.close.click()
    box.expect_state("dismissed")
    box.undo.press("Enter")
    box.expect_state("form")
    assert focused_part(page) == "heading"
    box.close.click()
    box.expect_state("dismissed")
    page.reload()
    page.wait_for_function("() => document.querySelector('support-box').shadowRoot?.querySelector('.box')")
    box.host.evaluate("(box) => box.open()")
    box.expect_state("form")
    assert focused_part(page) == "heading"


def test_theme_changes_while_the_reader_chooses(host_site: HostSite, page: Page) -> None:
    box = open_box(page, host_site, 'theme="light"')
    paper = box.frame.evaluate("(box) => getComputedStyle(box).backgroundColor")
    box.choose("Once", "12.34")
    box.host.evaluate("(box) => box.setAttribute('theme', 'dark')")
    dark = "([box, paper]) => getComputedStyle(box).backgroundColor !== paper"
    page.wait_for_function(dark, arg=[box.frame.element_handle(), paper])
    page.wait_for_timeout(300)
    expect(box.submit).to_have_text("Continue – $12.34 once")
    expect(box.other_amount).to_be_focused()


def test_campaign_sets_the_quiet_days(
    host_site: HostSite, page: Page, live_server: LiveServer, tmp_path: Path
) -> None:
    live_server.apply_campaign(tmp_path, slug="quiet", quiet_days=3)
    box = open_box(page, host_site, 'campaign="quiet" storage="local"')
    box.close.click()
    box.expect_state("dismissed")
    until = page.evaluate("() => JSON.parse(localStorage.getItem('support-box:quiet')).quietUntil - Date.now()")
    assert 2.9 * DAY_MS < until <= 3 * DAY_MS


def test_box_with_storage_stays_hidden_until_a_reminder_is_due(host_site: HostSite, page: Page) -> None:
    box = open_box(page, host_site, 'storage="local"')
    box.not_ready.click()
    box.email.fill("quiet@example.org")
    box.remind.click()
    box.expect_state("reminder-set")
    stored = page.evaluate(STORED)
    assert 27 * DAY_MS < stored["quietUntil"] - page.evaluate("() => Date.now()") < 32 * DAY_MS
    assert "quiet@example.org" not in json.dumps(stored)
    page.reload()
    expect(box.host).to_be_hidden()


def test_box_with_storage_stays_hidden_for_90_days_only_if_the_donation_was_paid(
    host_site: HostSite, page: Page
) -> None:
    box = open_box(page, host_site, 'storage="local"')
    box.once.check()
    box.continue_button.click()
    page.wait_for_url("**/sandbox/**")
    checkout_url = page.url
    # The reader has not paid yet.
    box = open_box(page, host_site, 'storage="local"')
    assert page.evaluate(STORED)["pledge"]
    page.goto(checkout_url)
    page.locator("[value=pay]").click()
    page.wait_for_url("**/thank-you**")
    page.goto(host_site.show('storage="local"'))
    page.wait_for_function("() => !('pledge' in JSON.parse(localStorage.getItem('support-box:default')))")
    expect(box.host).to_be_hidden()
    stored = page.evaluate(STORED)
    assert 89 * DAY_MS < stored["quietUntil"] - page.evaluate("() => Date.now()") <= 90 * DAY_MS


@pytest.mark.parametrize("attributes", ["", 'storage="local"', 'storage="local" placement="banner"'])
def test_storage_that_throws_is_as_none(host_site: HostSite, page: Page, attributes: str) -> None:
    page.add_init_script(
        """for (const name of ["localStorage", "sessionStorage"])
             Object.defineProperty(window, name, { get() { throw new DOMException("", "SecurityError") } })"""
    )
    box = open_box(page, host_site, attributes)
    box.close.click()
    box.expect_state("dismissed")
    box.undo.click()
    box.expect_state("form")
    page.reload()
    box.expect_state("form")
    if "banner" in attributes:
        box.expand.click()
    box.choose("Once", "3")
    box.submit.click()
    page.wait_for_url("**/sandbox/**")


def test_stored_text_of_another_script_is_as_none(host_site: HostSite, page: Page) -> None:
    box = open_box(page, host_site, 'storage="local"')
    for text in ("{", "null", '"text"', "7"):
        page.evaluate("(text) => localStorage.setItem('support-box:default', text)", text)
        page.reload()
        box.expect_state("form")


@pytest.mark.parametrize(
    "stored",
    [
        {"quietUntil": 4102444800000},
        {"quietUntil": "2099"},
        {"articles": 2, "lastAt": 4102444800000, "views": 5},
        {"pledge": {"id": 7}, "views": "many", "lastAt": None},
    ],
    ids=["clock was wrong", "text", "later visit", "objects"],
)
def test_stored_values_that_cannot_be_are_forgotten(
    host_site: HostSite, page: Page, stored: dict[str, Any]
) -> None:
    url = host_site.show('storage="local" placement="dialog" after-views="1"')
    page.goto(url)
    box = SupportBox(page)
    page.wait_for_function(f"() => ({STORED})()?.views === 1")
    page.evaluate("(text) => localStorage.setItem('support-box:default', text)", json.dumps(stored))
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(url + "/1")
    page.wait_for_function(f"() => ({STORED})().lastAt <= Date.now()")
    expect(box.dialog).to_have_count(0)
    assert page.evaluate(STORED)["articles"] == 1
    page.goto(url + "/2")
    expect(box.dialog).to_be_visible()
    assert not [url for url in requests if "/v1/pledges" in url]


def test_banner_begins_small_at_the_bottom_of_the_window(host_site: HostSite, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 700})
    box = open_box(page, host_site, 'placement="banner"')
    assert place_at_the_bottom(page)["height"] < 200
    expect(box.once).to_be_hidden()
    expect(box.expand).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("Tab")
    box.expand.click()
    expect(box.once).to_be_visible()
    assert focused_part(page) == "heading"
    assert place_at_the_bottom(page)["y"] >= 0.1 * 700
    box.choose("Once", "3")
    expect(box.submit).to_have_text("Continue – $3 once")


def test_escape_closes_a_banner_and_its_line_goes_when_the_reader_goes_on(host_site: HostSite, page: Page) -> None:
    box = open_box(page, host_site, 'placement="banner"')
    assert page.evaluate("() => document.documentElement.style.scrollPaddingBlockEnd") != ""
    box.expand.focus()
    page.keyboard.press("Escape")
    box.expect_state("dismissed")
    assert page.evaluate("() => document.documentElement.style.scrollPaddingBlockEnd") == ""
    assert focused_part(page) == "message"
    box.undo.click()
    expect(box.expand).to_be_visible()
    box.close.click()
    box.expect_state("dismissed")
    page.locator("h1").click()
    expect(box.host).to_be_hidden()
    box.host.evaluate("(box) => box.open()")
    expect(box.once).to_be_visible()


def test_banner_restores_the_scroll_padding_of_the_page(host_site: HostSite, page: Page) -> None:
    read = "() => document.documentElement.style.cssText"
    page.goto(host_site.show())
    box = SupportBox(page)
    box.expect_state("form")
    set_styles = "(styles) => { document.documentElement.style.cssText = styles }"
    styles = "scroll-padding-block-end: 3em;"
    page.evaluate(set_styles, styles)
    for changed in (None, "scroll-padding-block-end: 9em;"):
        box.host.evaluate(SET_ATTRIBUTE, ["placement", "banner"])
        expect(box.expand).to_be_visible()
        assert page.evaluate(read) not in (styles, "")
        # What the page sets meanwhile stays.
        if changed:
            page.evaluate(set_styles, changed)
        box.host.evaluate("(box) => box.removeAttribute('placement')")
        expect(box.once).to_be_visible()
        assert page.evaluate(read) == (changed or styles)


def test_another_box_leaves_the_scroll_padding_of_a_banner(host_site: HostSite, page: Page) -> None:
    read = "() => document.documentElement.style.scrollPaddingBlockEnd"
    page.goto(host_site.show('placement="banner"'))
    expect(SupportBox(page).expand).to_be_visible()
    padding = page.evaluate(read)
    page.evaluate(
        """() => {
            const other = document.createElement("support-box");
            other.setAttribute("frequency", "once");
            document.querySelector("main").append(other);
        }"""
    )
    expect(page.locator("main > support-box").last.locator("[part=submit]")).to_be_visible()
    assert page.evaluate(read) == padding


@pytest.mark.parametrize("placement", ["inline", "dialog"])
def test_page_that_is_loaded_ahead_counts_once_the_reader_sees_it(
    host_site: HostSite, page: Page, placement: str
) -> None:
    page.add_init_script(
        """if (location.pathname.endsWith("/2"))
             Object.defineProperty(document, "prerendering", { value: true, writable: true })"""
    )
    url = host_site.show(f'storage="local" placement="{placement}" after-views="1"')
    page.goto(url + "/1")
    page.wait_for_function(f"() => ({STORED})()?.views === 1")
    page.goto(url + "/2")
    box = SupportBox(page)
    if placement == "inline":
        box.expect_state("form")
    else:
        page.wait_for_timeout(500)
        expect(box.dialog).to_have_count(0)
    assert page.evaluate(STORED)["articles"] == 1
    page.evaluate(
        "() => { document.prerendering = false; document.dispatchEvent(new Event('prerenderingchange')) }"
    )
    page.wait_for_function(f"() => ({STORED})().articles === 2")
    if placement == "dialog":
        expect(box.dialog).to_be_visible()


def test_dialog_never_opens_over_the_first_article(host_site: HostSite, page: Page) -> None:
    page.goto(host_site.show('placement="dialog" storage="local" after-views="1"') + "/1")
    expect(SupportBox(page).host).to_be_hidden()
    page.reload()
    expect(SupportBox(page).dialog).to_be_visible()


def test_dialog_opens_after_its_number_of_articles_and_escape_closes_it(host_site: HostSite, page: Page) -> None:
    url = host_site.show('placement="dialog" storage="local" after-views="2"')
    box = SupportBox(page)
    for path in ("/1", "/2"):
        page.goto(url + path)
        expect(box.host).to_be_hidden()
    page.goto(url + "/3")
    expect(box.dialog).to_be_visible()
    expect(box.dialog).to_have_accessible_name("This paper is yours to keep")
    assert focused_part(page) == "heading"
    page.keyboard.press("Escape")
    expect(box.dialog).to_have_count(0)
    box.expect_state("dismissed")
    page.goto(url + "/4")
    expect(box.host).to_be_hidden()


def test_dialog_without_storage_counts_the_articles_of_a_single_page_app(host_site: HostSite, page: Page) -> None:
    page.goto(host_site.show('placement="dialog" after-views="1"'))
    box = SupportBox(page)
    expect(box.host).to_be_hidden()
    again = """(path) => {
        history.pushState(null, "", path);
        const box = document.querySelector("support-box");
        box.replaceWith(box.cloneNode(true));
    }"""
    page.evaluate(again, "/article/2")
    expect(box.dialog).to_be_visible()
    assert page.evaluate("() => localStorage.length + sessionStorage.length") == 0


def test_page_opens_a_dialog_and_resets_it(host_site: HostSite, page: Page) -> None:
    page.goto(host_site.show('placement="dialog" storage="local"'))
    box = SupportBox(page)
    expect(box.host).to_be_hidden()
    box.host.evaluate("(box) => box.open()")
    expect(box.dialog).to_be_visible()
    box.choose("Once", "3")
    box.close.click()
    expect(box.dialog).to_have_count(0)
    expect(box.frame.get_by_role("status")).to_have_text("Hidden.")
    box.host.evaluate("(box) => box.open()")
    expect(box.dialog).to_be_visible()
    expect(box.submit).to_have_text("Continue – $3 once")
    box.host.evaluate("(box) => { box.open(); box.open() }")
    expect(box.dialog).to_be_visible()
    box.host.evaluate("(box) => box.reset()")
    expect(box.host).to_be_hidden()
    assert page.evaluate(STORED)["articles"] == 1


@pytest.mark.parametrize("storage", ["", 'storage="local"'])
def test_open_dialog_stays_while_its_attributes_change(host_site: HostSite, page: Page, storage: str) -> None:
    page.goto(host_site.show(f'placement="dialog" {storage}'))
    box = SupportBox(page)
    expect(box.host).to_be_hidden()
    box.host.evaluate("(box) => box.open()")
    expect(box.submit).to_have_text("Continue – $7 a month")
    box.host.evaluate(SET_ATTRIBUTE, ["amount", "1200"])
    expect(box.submit).to_have_text("Continue – $12 a month")
    expect(box.dialog).to_be_visible()


@pytest.mark.parametrize("change", ["box.setAttribute('campaign', 'other')", "box.reset()"])
def test_dialog_that_is_no_longer_due_does_not_block_the_page(
    host_site: HostSite, page: Page, change: str
) -> None:
    page.goto(host_site.show('placement="dialog"'))
    box = SupportBox(page)
    expect(box.host).to_be_hidden()
    box.host.evaluate("(box) => box.open()")
    expect(box.dialog).to_be_visible()
    box.host.evaluate(f"(box) => {{ {change} }}")
    expect(box.host).to_be_hidden()
    page.get_by_role("link", name="More on the ferry").click(timeout=5000)
    assert page.url.endswith("#more")


@pytest.mark.parametrize("attributes", ['placement="banner" storage="local"', 'storage="local"'])
def test_open_says_that_a_hidden_box_cannot_be_loaded(host_site: HostSite, page: Page, attributes: str) -> None:
    box = open_box(page, host_site, attributes)
    box.close.click()
    box.expect_state("dismissed")
    page.reload()
    expect(box.host).to_be_hidden()
    fail_requests(page, CAMPAIGN, 503)
    box.host.evaluate("(box) => box.open()")
    box.retry.click()
    expect(box.submit).to_be_visible()


def test_open_returns_a_closed_box_and_reset_forgets_the_choice(host_site: HostSite, page: Page) -> None:
    box = open_box(page, host_site)
    box.choose("Once", "3")
    box.close.click()
    box.host.evaluate("(box) => box.open()")
    expect(box.submit).to_have_text("Continue – $3 once")
    assert focused_part(page) == "heading"
    box.host.evaluate("(box) => box.reset()")
    expect(box.submit).to_have_text("Continue – $7 a month")


def test_dialog_does_not_open_if_its_campaign_cannot_be_loaded(host_site: HostSite, page: Page) -> None:
    page.goto(host_site.show('placement="banner"'))
    SupportBox(page).expect_state("form")
    fail_requests(page, CAMPAIGN, 503, retry_after=600)
    with page.expect_response(CAMPAIGN):
        page.reload()
    expect(SupportBox(page).frame).to_be_hidden()


def test_box_whose_part_cannot_be_loaded_is_an_ordinary_one(host_site: HostSite, page: Page) -> None:
    page.route(PLACEMENT_PART, lambda route: route.abort())
    box = open_box(page, host_site, 'placement="banner" frequency="once"')
    expect(box.submit).to_have_text("Continue – $7 a month")
    box.close.click()
    box.undo.click()
    box.expect_state("form")

"""The fallback link stays while the box cannot load, and a failed load can be retried."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import BOTH_BROWSERS
from tests.browser.live_server import LiveServer
from tests.browser.network import CAMPAIGN, fail_requests, pause_requests
from tests.browser.support_box import SupportBox


@BOTH_BROWSERS
def test_blocked_script_leaves_the_fallback_link(live_server: LiveServer, page: Page) -> None:
    page.route("**/widget/v1.js", lambda route: route.abort())
    page.goto("/demo")
    link = page.locator("support-box").get_by_role("link")
    expect(link).to_be_visible()
    link.click()
    expect(page.get_by_role("button", name="Continue")).to_be_visible()
    assert page.url.startswith(f"{live_server.base_url}/support/default")


def test_browser_without_adopted_style_sheets_keeps_the_fallback_link(page: Page) -> None:
    page.add_init_script("delete Document.prototype.adoptedStyleSheets")
    page.goto("/demo")
    expect(page.locator("support-box").get_by_role("link")).to_be_visible()
    expect(page.locator("support-box").get_by_role("radio")).to_have_count(0)


@BOTH_BROWSERS
def test_fallback_link_is_shown_while_the_box_loads(page: Page) -> None:
    paused = pause_requests(page, CAMPAIGN)
    page.goto("/demo")
    box = SupportBox(page)
    box.expect_state("loading")
    expect(box.link).to_be_visible()
    expect(box.close).to_be_hidden()
    paused.resume()
    box.expect_state("form")
    expect(box.link).to_be_hidden()


@pytest.mark.parametrize("status", [500, 503, 429, 404, None])
def test_failed_campaign_request_can_be_retried(page: Page, status: int | None) -> None:
    if status is None:
        page.route(CAMPAIGN, lambda route: route.abort(), times=1)
    else:
        fail_requests(page, CAMPAIGN, status)
    page.goto("/demo")
    box = SupportBox(page)
    box.expect_state("error")
    expect(box.host).to_contain_text("We couldn’t load this form.")
    expect(box.link).to_be_visible()
    box.retry.click()
    box.expect_state("form")
    expect(box.continue_button).to_have_text("Continue – $7 a month")
    expect(box.link).to_be_hidden()


def test_html_instead_of_json_is_an_error(page: Page) -> None:
    page.route(CAMPAIGN, lambda route: route.fulfill(status=200, body="<h1>It works!</h1>"), times=1)
    page.goto("/demo")
    box = SupportBox(page)
    box.expect_state("error")
    box.retry.click()
    box.expect_state("form")


@BOTH_BROWSERS
def test_closing_the_box_while_submitting_stays_on_the_page(demo: SupportBox) -> None:
    paused = pause_requests(demo.page, "**/v1/pledges")
    demo.continue_button.click()
    paused.wait_for_request()
    demo.expect_state("submitting")
    demo.close.click()
    demo.expect_state("dismissed")
    with demo.page.expect_response("**/v1/pledges"):
        paused.resume()
    demo.expect_state("dismissed")
    assert demo.page.url.endswith("/demo")

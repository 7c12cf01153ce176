"""When something is missing, the newsroom's own link is there, and what can be tried again can be."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.live_server import LiveServer
from tests.browser.network import CAMPAIGN, fail_requests, pause_requests
from tests.browser.support_box import SupportBox


def test_a_blocked_script_leaves_the_link(live_server: LiveServer, page: Page) -> None:
    page.route("**/widget/v1.js", lambda route: route.abort())
    page.goto("/demo")
    link = page.locator("support-box").get_by_role("link")
    expect(link).to_be_visible()
    link.click()
    expect(page.get_by_role("button", name="Continue")).to_be_visible()
    assert page.url.startswith(f"{live_server.base}/support/default")


def test_a_browser_without_adopted_style_sheets_keeps_the_link(page: Page) -> None:
    page.add_init_script("delete Document.prototype.adoptedStyleSheets")
    page.goto("/demo")
    expect(page.locator("support-box").get_by_role("link")).to_be_visible()
    expect(page.locator("support-box").get_by_role("radio")).to_have_count(0)


def test_the_link_stands_while_the_box_loads(page: Page) -> None:
    held = pause_requests(page, CAMPAIGN)
    page.goto("/demo")
    box = SupportBox(page)
    box.expect_state("loading")
    expect(box.link).to_be_visible()
    expect(box.close).to_be_hidden()
    held.resume()
    box.expect_state("form")
    expect(box.link).to_be_hidden()


@pytest.mark.parametrize("status", [500, 503, 429, 404, None])
def test_a_campaign_that_did_not_come_can_be_asked_for_again(page: Page, status: int | None) -> None:
    if status is None:
        page.route(CAMPAIGN, lambda route: route.abort(), times=1)
    else:
        fail_requests(page, CAMPAIGN, status)
    page.goto("/demo")
    box = SupportBox(page)
    box.expect_state("error")
    expect(box.host).to_contain_text("The support form could not be loaded.")
    expect(box.link).to_be_visible()
    box.retry.click()
    box.expect_state("form")
    expect(box.continue_button).to_have_text("Continue – $7 a month")
    expect(box.link).to_be_hidden()


def test_a_page_of_a_proxy_instead_of_an_answer_is_a_failure_like_any_other(page: Page) -> None:
    page.route(CAMPAIGN, lambda route: route.fulfill(status=200, body="<h1>It works!</h1>"), times=1)
    page.goto("/demo")
    box = SupportBox(page)
    box.expect_state("error")
    box.retry.click()
    box.expect_state("form")


def test_closing_the_box_while_it_sends_takes_the_reader_nowhere(demo: SupportBox) -> None:
    held = pause_requests(demo.page, "**/v1/pledges")
    demo.continue_button.click()
    demo.expect_state("submitting")
    demo.close.click()
    demo.expect_state("dismissed")
    with demo.page.expect_response("**/v1/pledges"):
        held.resume()
    expect(demo.host).to_be_hidden()
    assert demo.page.url.endswith("/demo")

"""A box that a single-page app has removed does nothing more; one that it moves or shows again goes on."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import BOTH_BROWSERS
from tests.browser.host_site import HostSite
from tests.browser.network import CAMPAIGN, PLACEMENT_PART, PLEDGES, REMINDERS, fail_requests, pause_requests
from tests.browser.support_box import SupportBox

pytestmark = BOTH_BROWSERS
REMOVE = "window.removed = document.querySelector('support-box'); removed.remove()"
SHOW_AGAIN = "document.body.append(removed)"
# The events of the box also reach listeners on the element itself.
RECORD_EVENTS = """() => {
  window.events = [];
  for (const name of ['pledged', 'reminded'])
    document.querySelector('support-box').addEventListener(`support-box:${name}`, () => events.push(name));
}"""


def test_pledge_of_a_removed_box_does_not_redirect(demo: SupportBox) -> None:
    page = demo.page
    page.evaluate(RECORD_EVENTS)
    paused = pause_requests(page, PLEDGES)
    demo.continue_button.click()
    paused.wait_for_request()
    demo.expect_state("submitting")
    page.evaluate(REMOVE)
    page.wait_for_timeout(100)
    paused.resume()
    page.wait_for_timeout(500)
    assert page.url.endswith("/demo")
    assert page.evaluate("events") == []
    page.evaluate(SHOW_AGAIN)
    demo.expect_state("form")
    demo.continue_button.click()
    paused.resume()
    page.wait_for_url("**/sandbox/**")


def test_response_that_comes_after_the_removal_is_dropped(demo: SupportBox) -> None:
    page = demo.page
    page.evaluate(RECORD_EVENTS)
    # The page removes the box in the same task in which the response is complete.
    page.evaluate("""() => {
      const fetch = window.fetch;
      window.fetch = async (...args) => {
        const response = await fetch(...args);
        const { json } = response;
        response.json = async () => {
          const body = await json.call(response);
          document.querySelector('support-box')?.remove();
          return body;
        };
        return response;
      };
    }""")
    with page.expect_response(PLEDGES):
        demo.continue_button.click()
    page.wait_for_timeout(500)
    assert page.url.endswith("/demo")
    assert page.evaluate("events") == []


def test_removed_box_sends_no_retry(demo: SupportBox) -> None:
    page = demo.page
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    in_progress = {"code": "request_in_progress"}
    page.route(PLEDGES, lambda route: route.fulfill(status=409, json=in_progress, headers={"Retry-After": "1"}))
    with page.expect_response(PLEDGES):
        demo.continue_button.click()
    page.evaluate(REMOVE)
    page.wait_for_timeout(2_500)
    assert len([url for url in requests if url.endswith("/v1/pledges")]) == 1


def test_removed_reminder_form_reports_nothing(demo: SupportBox) -> None:
    page = demo.page
    page.evaluate(RECORD_EVENTS)
    demo.not_ready.click()
    demo.email.fill("removed@example.org")
    paused = pause_requests(page, REMINDERS)
    demo.remind.click()
    paused.wait_for_request()
    demo.expect_state("submitting")
    page.evaluate(REMOVE)
    paused.resume()
    page.wait_for_timeout(500)
    assert page.evaluate("events") == []


def test_box_that_was_removed_while_it_loaded_loads_when_it_is_shown_again(page: Page) -> None:
    paused = pause_requests(page, CAMPAIGN)
    page.goto("/demo")
    box = SupportBox(page)
    paused.wait_for_request()
    box.expect_state("loading")
    page.evaluate(REMOVE)
    paused.resume()
    page.wait_for_timeout(300)
    assert page.evaluate("removed.shadowRoot.querySelector('.box').dataset.state") == "loading"
    page.evaluate(SHOW_AGAIN)
    paused.resume()
    box.expect_state("form")


@pytest.mark.parametrize("again", [True, False])
def test_countdown_stops_with_the_box(again: bool, demo: SupportBox) -> None:
    page = demo.page
    fail_requests(page, PLEDGES, 503, retry_after=30)
    demo.continue_button.click()
    demo.expect_state("error")
    page.evaluate("""() => {
      window.ticks = 0;
      const original = window.setTimeout;
      window.setTimeout = (...args) => { ticks++; return original(...args); };
    }""")
    page.evaluate(REMOVE)
    # One that was set before may still fire.
    page.wait_for_timeout(2_500)
    assert page.evaluate("ticks") == 0
    if again:
        page.evaluate(SHOW_AGAIN)
        demo.expect_state("form")
        expect(demo.continue_button).to_be_enabled()


def test_box_that_the_page_moves_goes_on_with_its_pledge(demo: SupportBox) -> None:
    page = demo.page
    paused = pause_requests(page, PLEDGES)
    demo.continue_button.click()
    paused.wait_for_request()
    demo.expect_state("submitting")
    page.evaluate("document.body.prepend(document.querySelector('support-box'))")
    paused.resume()
    page.wait_for_url("**/sandbox/**")


def test_choice_survives_a_removal(demo: SupportBox) -> None:
    demo.choose("Once", "12.34")
    demo.page.evaluate(REMOVE)
    demo.page.wait_for_timeout(100)
    demo.page.evaluate(SHOW_AGAIN)
    expect(demo.other_amount).to_have_value("12.34")
    expect(demo.once).to_be_checked()


@pytest.mark.parametrize("path", [PLACEMENT_PART, CAMPAIGN])
def test_placed_box_that_was_removed_while_it_loaded_loads_when_it_is_shown_again(
    host_site: HostSite, page: Page, path: str
) -> None:
    paused = pause_requests(page, path)
    # Firefox ends loading a page only once a part that it waits for is there.
    page.goto(host_site.show('storage="local"'), wait_until="commit")
    paused.wait_for_request()
    page.evaluate(REMOVE)
    paused.resume()
    page.unroute(path)
    page.wait_for_timeout(300)
    page.evaluate(SHOW_AGAIN)
    SupportBox(page).expect_state("form")


def test_banner_that_was_removed_leaves_nothing_and_returns_as_a_banner(host_site: HostSite, page: Page) -> None:
    padding = "document.documentElement.style.scrollPaddingBlockEnd"
    page.goto(host_site.show('placement="banner"'))
    box = SupportBox(page)
    expect(box.expand).to_be_visible()
    assert page.evaluate(padding)
    page.evaluate(REMOVE)
    page.wait_for_function(f"() => !{padding}")
    page.evaluate(SHOW_AGAIN)
    expect(box.expand).to_be_visible()
    assert page.evaluate(padding)


def test_dialog_that_the_page_moves_stays_modal(host_site: HostSite, page: Page) -> None:
    page.goto(host_site.show('placement="dialog"'))
    box = SupportBox(page)
    box.host.evaluate("(box) => box.open()")
    expect(box.dialog).to_be_visible()
    box.choose("Once", "3")
    box.host.evaluate("(box) => document.body.append(box)")
    expect(box.host.locator("dialog:modal")).to_be_visible()
    expect(box.heading).to_be_focused()
    expect(box.submit).to_have_text("Continue – $3 once")
    page.keyboard.press("Escape")
    box.expect_state("dismissed")
    expect(box.dialog).to_have_count(0)


def test_dialog_that_was_removed_opens_again_only_as_a_dialog(host_site: HostSite, page: Page) -> None:
    page.goto(host_site.show('placement="dialog"'))
    box = SupportBox(page)
    box.host.evaluate("(box) => box.open()")
    expect(box.dialog).to_be_visible()
    page.evaluate(REMOVE)
    page.wait_for_timeout(100)
    page.evaluate(SHOW_AGAIN)
    expect(box.host).to_be_hidden()
    box.host.evaluate("(box) => box.open()")
    expect(box.host.locator("dialog:modal")).to_be_visible()
    page.keyboard.press("Escape")
    box.expect_state("dismissed")


@pytest.mark.parametrize("attributes", ["", 'placement="dialog"', 'placement="banner"'])
def test_methods_of_a_removed_box_do_nothing(host_site: HostSite, page: Page, attributes: str) -> None:
    page.goto(host_site.show(attributes))
    box = SupportBox(page)
    box.host.evaluate("(box) => box.open()")
    box.expect_state("form")
    page.evaluate(REMOVE)
    page.wait_for_timeout(100)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.evaluate("Promise.all([removed.open(), removed.reset()])")
    page.wait_for_timeout(300)
    assert requests == []
    page.evaluate(SHOW_AGAIN)
    page.evaluate("removed.open()")
    expect(box.submit).to_have_text("Continue – $7 a month")

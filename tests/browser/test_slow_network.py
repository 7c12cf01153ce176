"""The box on a slow network: it says what it does, stays usable, and sends nothing twice; in both browsers."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import BOTH_BROWSERS
from tests.browser.host_site import HostSite
from tests.browser.live_server import LiveServer
from tests.browser.network import (
    CAMPAIGN,
    CHECKOUT_PART,
    PLEDGES,
    REMINDER_PART,
    REMINDERS,
    PausedRoute,
    pause_requests,
    record_requests,
)
from tests.browser.support_box import REMINDER_SET, SupportBox

pytestmark = BOTH_BROWSERS
SECONDS = 2


def wait(page: Page) -> None:
    """Let the reader wait."""
    page.wait_for_timeout(SECONDS * 1000)


def wait_for_form(page: Page, host_site: HostSite, campaign: PausedRoute) -> SupportBox:
    """Show the box, whose campaign is slow, and return it with its form."""
    page.goto(host_site.show())
    box = SupportBox(page)
    wait(page)
    box.expect_state("loading")
    expect(box.link).to_be_visible()
    campaign.resume()
    box.expect_state("form")
    return box


def test_everything_of_a_pledge_is_slow(live_server: LiveServer, host_site: HostSite, page: Page) -> None:
    before = live_server.count("pledges")
    sent = record_requests(page, "/v1/pledges")
    paused = {url: pause_requests(page, url) for url in (CAMPAIGN, CHECKOUT_PART, PLEDGES)}
    box = wait_for_form(page, host_site, paused[CAMPAIGN])
    box.choose("Once", "3")
    box.continue_button.click()
    wait(page)
    box.expect_state("submitting")
    expect(box.submit).to_have_text("Taking you to checkout…")
    paused[CHECKOUT_PART].resume()
    sent.wait_for(1)
    wait(page)
    box.expect_state("submitting")
    expect(box.submit).to_have_text("Taking you to checkout…")
    box.force_click(box.submit)
    box.submit.press("Enter")
    paused[PLEDGES].resume()
    page.wait_for_url("**/sandbox/**")
    assert (len(sent), live_server.count("pledges")) == (1, before + 1)


def test_everything_of_a_reminder_is_slow(
    live_server: LiveServer, host_site: HostSite, page: Page, browser_name: str
) -> None:
    before = live_server.count("reminders")
    sent = record_requests(page, "/v1/reminders")
    paused = {url: pause_requests(page, url) for url in (CAMPAIGN, REMINDER_PART, REMINDERS)}
    box = wait_for_form(page, host_site, paused[CAMPAIGN])
    box.not_ready.click()
    # The texts of the reminder are part of the campaign.
    for url in (REMINDER_PART, CAMPAIGN):
        paused[url].wait_for_request()
        wait(page)
        box.expect_state("form")
        expect(box.not_ready).to_be_focused()
        expect(box.submit).to_be_enabled()
        paused[url].resume()
    box.expect_state("reminder-form")
    box.email.fill(f"slow.{browser_name}@example.org")
    box.remind.click()
    paused[REMINDERS].wait_for_request()
    wait(page)
    box.expect_state("submitting")
    expect(box.submit).to_have_text("Setting your reminder…")
    box.force_click(box.submit)
    box.submit.press("Enter")
    paused[REMINDERS].resume()
    box.expect_state("reminder-set")
    expect(box.heading).to_have_text(REMINDER_SET)
    assert (len(sent.wait_for(1)), live_server.count("reminders")) == (1, before + 1)

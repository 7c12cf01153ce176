"""The box on a page that the browser restores from its back/forward cache, as it was when the reader left."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

from tests.browser.chromium import ARGUMENTS, find_chromium
from tests.browser.conftest import BOTH_BROWSERS
from tests.browser.host_site import HostSite
from tests.browser.live_server import LiveServer
from tests.browser.network import CAMPAIGN, fail_requests
from tests.browser.support_box import SupportBox

pytestmark = BOTH_BROWSERS
RECORD_RESTORE = "addEventListener('pageshow', ({ persisted }) => { window.wasRestored = persisted })"
# The evaluation ends before the page goes.
GO_BACK = "() => void setTimeout(() => history.back())"
SUBMIT = "document.querySelector('support-box').shadowRoot.querySelector('[part=submit]')"
STATE = "document.querySelector('support-box').shadowRoot.querySelector('.box').dataset.state"


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """Start a Chromium with the cache: Playwright switches it off, and the headless shell has none."""
    browser = playwright.chromium.launch(
        executable_path=find_chromium(playwright, is_full=True),
        args=ARGUMENTS,
        ignore_default_args=["--disable-back-forward-cache"],
    )
    yield browser
    browser.close()


@pytest.mark.parametrize("attributes", ["", 'placement="banner" storage="local"'], ids=["inline", "banner"])
def test_restored_box_starts_another_pledge(
    live_server: LiveServer, host_site: HostSite, page: Page, attributes: str
) -> None:
    before = live_server.count("pledges")
    page.goto(host_site.show(attributes))
    page.evaluate(RECORD_RESTORE)
    box = SupportBox(page)
    box.expect_state("form")
    if attributes:
        box.expand.click()
    box.choose("Once", "3")
    box.submit.click()
    expect(page.get_by_role("button", name="Pay $3 once")).to_be_visible()
    page.evaluate(GO_BACK)
    # Firefox does not say when this navigation ends, and locators would wait for it.
    page.wait_for_function("() => window.wasRestored")
    assert (page.evaluate(STATE), page.evaluate(f"{SUBMIT}.textContent")) == ("form", "Continue – $3 once")
    page.evaluate(f"{SUBMIT}.click()")
    expect(page.get_by_role("button", name="Pay $3 once")).to_be_visible()
    assert live_server.count("pledges") == before + 2


def test_restored_box_keeps_the_error_of_a_campaign_that_cannot_be_loaded(
    live_server: LiveServer, host_site: HostSite, page: Page
) -> None:
    page.goto(host_site.show())
    page.evaluate(RECORD_RESTORE)
    box = SupportBox(page)
    box.expect_state("form")
    fail_requests(page, CAMPAIGN, 503)
    box.host.evaluate("(box) => box.setAttribute('campaign', 'other')")
    box.expect_state("error")
    page.goto(f"{live_server.base_url}/me")
    page.evaluate(GO_BACK)
    page.wait_for_function("() => window.wasRestored")
    assert page.evaluate(STATE) == "error"

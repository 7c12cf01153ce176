"""Fixtures: a live server, a browser, and pages that fail the test on console errors."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, expect

from tests.browser.chromium import ARGUMENTS, find_chromium, start_playwright
from tests.browser.firefox import CHANNEL, PREFERENCES, WITHOUT_SCRIPTS, write_starter
from tests.browser.host_site import HostSite
from tests.browser.live_server import LiveServer, run_live_server
from tests.browser.support_box import SupportBox
from tests.browser.three_currencies import CAMPAIGN_ATTRIBUTE, CAMPAIGN_FILE

NewPage = Callable[..., Page]

# Browsers log responses of 400 and above, and aborted connections, with this prefix.
NETWORK_ERROR_PREFIX = "Failed to load resource"
# Firefox says so of a request that a test aborts.
ABORTED = "CORS request did not succeed"
SUBSCRIBER = "subscriber@example.org"
TIMEOUT_MS = 60_000
BOTH_BROWSERS = pytest.mark.parametrize("browser_name", ["chromium", "firefox"])


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    expect.set_options(timeout=TIMEOUT_MS)
    with start_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=find_chromium(playwright), args=ARGUMENTS)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def firefox(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = launch_firefox(playwright, write_starter(tmp_path_factory.mktemp("firefox")))
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def firefox_without_scripts(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = launch_firefox(playwright, write_starter(tmp_path_factory.mktemp("firefox"), WITHOUT_SCRIPTS))
    yield browser
    browser.close()


def launch_firefox(playwright: Playwright, starter: Path) -> Browser:
    return playwright.firefox.launch(
        executable_path=starter, channel=CHANNEL, firefox_user_prefs=PREFERENCES, timeout=TIMEOUT_MS
    )


@pytest.fixture
def browser_name() -> str:
    """Return the browser of the test; a module that is to run in several sets it by BOTH_BROWSERS."""
    return "chromium"


@pytest.fixture(scope="session")
def live_server(worker_id: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with run_live_server(f"mainstay_browser_{worker_id}", tmp_path_factory.mktemp("live_server")) as live_server:
        # Created early, so that no test waits for the email.
        live_server.create_reminder(SUBSCRIBER)
        yield live_server


@pytest.fixture(scope="session")
def reminder_url(live_server: LiveServer) -> str:
    """Return the URL of a reminder's page, from the email."""
    return live_server.reminder_link_for(SUBSCRIBER)


@pytest.fixture
def host_site(live_server: LiveServer) -> Iterator[HostSite]:
    """Return a site that embeds the box, on another origin than the service."""
    with HostSite(live_server.base_url) as site:
        yield site


@pytest.fixture
def framing_site(live_server: LiveServer) -> Iterator[HostSite]:
    """Return the site of a page that frames another, of another host than the framed one."""
    with HostSite(live_server.base_url) as site:
        site.base_url = site.base_url.replace("127.0.0.1", "localhost")
        yield site


@pytest.fixture
def expected_console_errors() -> list[str]:
    """Return the parts of console messages that do not fail the test; a test may add to them."""
    return [NETWORK_ERROR_PREFIX, ABORTED]


@pytest.fixture
def new_page(
    browser_name: str,
    request: pytest.FixtureRequest,
    live_server: LiveServer,
    expected_console_errors: list[str],
) -> Iterator[NewPage]:
    """Return a function that opens a page in a new context, with the service as its base URL.

    Console errors and warnings, uncaught exceptions and policy violations fail the test.
    """
    contexts: list[BrowserContext] = []
    console_errors: list[str] = []

    def record(text: str) -> None:
        if not any(part in text for part in expected_console_errors):
            console_errors.append(text)

    def record_message(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            record(message.text)

    def open_page(**options) -> Page:
        options = {
            "base_url": live_server.base_url,
            "locale": "en-US",
            "timezone_id": "Europe/Amsterdam",
        } | options
        fixture = "browser"
        if browser_name == "firefox":
            fixture = "firefox" if options.get("java_script_enabled", True) else "firefox_without_scripts"
        browser: Browser = request.getfixturevalue(fixture)
        context = browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(TIMEOUT_MS)
        context.on("console", record_message)
        context.on("weberror", lambda error: record(str(error.error)))
        return context.new_page()

    yield open_page
    for context in contexts:
        context.close()
    assert console_errors == []


@pytest.fixture
def page(new_page: NewPage) -> Page:
    return new_page()


@pytest.fixture
def demo(page: Page) -> SupportBox:
    """Return the box of the demo page, with its campaign loaded."""
    page.goto("/demo")
    box = SupportBox(page)
    box.expect_state("form")
    return box


@pytest.fixture
def box(live_server: LiveServer, host_site: HostSite, page: Page) -> SupportBox:
    """Return the box of the guide's example campaign, on the host site."""
    live_server.run_command("campaign", "apply", str(CAMPAIGN_FILE))
    page.goto(host_site.show(CAMPAIGN_ATTRIBUTE))
    box = SupportBox(page)
    box.expect_state("form")
    return box

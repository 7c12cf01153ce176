"""A newsroom that runs, a browser that visits it, and a page that may not complain."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, expect

from tests.browser.chromium import ARGUMENTS, find_chromium, start_playwright
from tests.browser.host_site import HostSite
from tests.browser.live_server import LiveServer, run_live_server
from tests.browser.support_box import SupportBox
from tests.browser.three_currencies import EXAMPLE, SHOWN

NewPage = Callable[..., Page]

# A browser reports answers of 400 and above, and connections that a test cuts, as errors of the network.
NETWORK_ERROR_PREFIX = "Failed to load resource"
SUBSCRIBER = "subscriber@example.org"
TIMEOUT_MS = 60_000


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
def live_server(worker_id: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with run_live_server(f"mainstay_browser_{worker_id}", tmp_path_factory.mktemp("live_server")) as live_server:
        # Asked for now, so that nobody waits for the mail later.
        live_server.remind(SUBSCRIBER)
        yield live_server


@pytest.fixture(scope="session")
def letter(live_server: LiveServer) -> str:
    """Return the address of a reminder's own page, as the reader found it in the mail."""
    return live_server.link_in_mail_to(SUBSCRIBER)


@pytest.fixture
def host_site(live_server: LiveServer) -> Iterator[HostSite]:
    """Return the newsroom's own site, on another origin than ours."""
    with HostSite(live_server.base) as site:
        yield site


@pytest.fixture
def expected_console_errors() -> list[str]:
    """Return a list for what a browser will write to its console because the test makes it."""
    return [NETWORK_ERROR_PREFIX]


@pytest.fixture
def new_page(browser: Browser, live_server: LiveServer, expected_console_errors: list[str]) -> Iterator[NewPage]:
    """Return a function that opens a page in a fresh context; relative addresses lead to the service.

    Whatever a page writes to its console as an error, and every exception and violated policy, fails the test.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        expected = any(words in message.text for words in expected_console_errors)
        if message.type in ("error", "warning") and not expected:
            complaints.append(message.text)

    def open_page(**options) -> Page:
        options = {"base_url": live_server.base, "locale": "en-US", "timezone_id": "Europe/Amsterdam"} | options
        context = browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(TIMEOUT_MS)
        context.on("console", hear)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        return context.new_page()

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(new_page: NewPage) -> Page:
    return new_page()


@pytest.fixture
def demo(page: Page) -> SupportBox:
    """Return the box under the demonstration's article, with its campaign in it."""
    page.goto("/demo")
    box = SupportBox(page)
    box.expect_state("form")
    return box


@pytest.fixture
def box(live_server: LiveServer, host_site: HostSite, page: Page) -> SupportBox:
    """Return the box of the campaign that our guide shows, on a page of the strictest kind."""
    live_server.command("campaign", "apply", str(EXAMPLE))
    page.goto(host_site.show(SHOWN))
    box = SupportBox(page)
    box.expect_state("form")
    return box

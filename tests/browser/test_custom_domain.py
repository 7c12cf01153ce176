"""Stripe's pages on a domain of the newsroom's, for readers without JavaScript.

Chromium applies the policy `form-action` also to the redirects that follow a form.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.accounts import pledge_page_url
from tests.browser.live_server import LiveServer
from tests.browser.stripe_server import SystemClock, run_stripe_server
from tests.processes import wait_until
from tests.stripe_double import FakeStripe


@pytest.fixture(scope="module")
def stripe() -> Iterator[FakeStripe]:
    with FakeStripe(clock=SystemClock()) as stripe:
        # Chromium resolves every name under `localhost` to the loopback interface.
        stripe.settings.custom_domain = stripe.url.replace("127.0.0.1", "pay.localhost")
        yield stripe


@pytest.fixture(scope="module")
def live_server(
    stripe: FakeStripe, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    with run_stripe_server(
        f"mainstay_domain_{worker_id}", tmp_path_factory.mktemp("domain"), stripe
    ) as live_server:
        yield live_server


@pytest.fixture
def page(browser: Browser, live_server: LiveServer) -> Iterator[Page]:
    context = browser.new_context(base_url=live_server.base_url, locale="en-US", java_script_enabled=False)
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()


def submit_form(page: Page) -> None:
    page.get_by_label("Monthly").check(force=True)
    page.get_by_role("button", name="Continue").click()


def wait_for_active_pledge(live_server: LiveServer) -> str:
    """The id of the one pledge that the webhook, which comes after the reader's return, makes active."""
    active: list[str] = []

    def arrived() -> bool:
        active[:] = [
            str(pledge_id) for (pledge_id,) in live_server.query("SELECT id FROM pledges WHERE status = 'active'")
        ]
        return len(active) == 1

    wait_until(arrived, what="the pledge to be active")
    return active[0]


def test_checkouts_and_portal_on_a_custom_domain_work_without_javascript(
    live_server: LiveServer, page: Page, stripe: FakeStripe
) -> None:
    waiting = page.context.new_page()
    waiting.goto("/support/default")
    page.goto("/support/default")
    # Nobody knows the domain yet, neither for the first form nor for one that was open meanwhile.
    for opened in (page, waiting):
        submit_form(opened)
        expect(opened.get_by_role("heading", level=1)).to_have_text("Checkout")
        assert opened.url.startswith("http://pay.localhost:")
    page.get_by_label("Email").fill("donor@example.org")
    page.get_by_role("button", name="Pay", exact=True).click()
    expect(page.get_by_text("a month.")).to_be_visible()
    # Now the page allows it.
    policy = page.goto("/support/default").header_value("content-security-policy")
    assert stripe.settings.custom_domain in policy
    submit_form(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Checkout")

    page.goto(pledge_page_url(live_server, wait_for_active_pledge(live_server)))
    page.get_by_role("button", name="Update the card").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Update your payment method")
    assert page.url.startswith("http://pay.localhost:")

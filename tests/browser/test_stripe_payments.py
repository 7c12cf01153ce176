"""Pledges through a fake Stripe server, with the real SDK and signed webhooks."""

import datetime
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.accounts import pledge_page_url
from tests.browser.live_server import LiveServer, pledge_id_from_url, run_live_server
from tests.browser.support_box import SupportBox
from tests.clock import FakeClock
from tests.processes import wait_until
from tests.stripe_double import KEY, FakeStripe
from tests.stripe_double.webhooks import WebhookSender

SECRET = "whsec_that_only_the_browser_tests_know"
DONOR = "donor@example.org"


class SystemClock(FakeClock):
    """The system clock, which the service's processes use too."""

    def __init__(self) -> None:
        super().__init__(datetime.datetime.now(datetime.UTC))

    def __call__(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC)


@pytest.fixture(scope="module")
def stripe() -> Iterator[FakeStripe]:
    with FakeStripe(clock=SystemClock()) as stripe:
        yield stripe


@pytest.fixture(scope="module")
def live_server(
    stripe: FakeStripe, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """Return a live server that uses the Stripe gateway."""
    settings = {"GATEWAY": "stripe", "STRIPE_SECRET_KEY": KEY, "STRIPE_API_BASE": stripe.url}
    name, folder = f"mainstay_money_{worker_id}", tmp_path_factory.mktemp("money")
    with run_live_server(name, folder, STRIPE_WEBHOOK_SECRET=SECRET, **settings) as live_server:
        stripe.deliver = WebhookSender(f"{live_server.base_url}/v1/webhooks/stripe", SECRET)
        yield live_server


@pytest.fixture
def page(browser: Browser, live_server: LiveServer) -> Iterator[Page]:
    context = browser.new_context(base_url=live_server.base_url, locale="en-US")
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


def open_checkout(page: Page, stripe: FakeStripe) -> None:
    page.goto("/demo")
    box = SupportBox(page)
    box.expect_state("form")
    box.choose("Monthly", "2")
    box.continue_button.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Checkout")
    assert page.url.startswith(stripe.url)


def test_pledge_is_paid_changed_and_cancelled(live_server: LiveServer, page: Page, stripe: FakeStripe) -> None:
    open_checkout(page, stripe)
    page.get_by_label("Email").fill(DONOR)
    page.get_by_role("button", name="Pay", exact=True).click()
    # The webhook may arrive after the reader, so the page refreshes until then.
    expect(page.get_by_text("You’re now giving The Harbour Lantern $2 a month.")).to_be_visible()
    pledge_id = pledge_id_from_url(page.url)
    row = live_server.export()[pledge_id]
    values = [row[name] for name in ("status", "payments", "paid_total", "email", "gateway")]
    assert values == ["active", "1", "2.00", DONOR, "stripe"]

    page.goto(pledge_page_url(live_server, pledge_id))
    expect(page.get_by_text("Next payment: $2 on ")).to_be_visible()
    page.get_by_role("button", name="Update the card").click()
    assert page.url.startswith(stripe.url)
    page.get_by_role("button", name="Save card").click()
    page.get_by_role("link", name="Change the amount").click()
    page.locator("[name=amount]").fill("12.50")
    page.get_by_role("button", name="Change amount").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("$12.50 a month")
    [subscription] = stripe.account.all("subscription")
    assert subscription["items"]["data"][0]["price"]["unit_amount"] == 1250

    page.get_by_role("link", name="Cancel support").click()
    page.get_by_role("button", name="Cancel now", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("Your support is cancelled.")
    assert stripe.get(subscription["id"])["status"] == "canceled"
    stripe.deliver_events()
    wait_until(
        lambda: not live_server.query("SELECT 1 FROM gateway_events WHERE status IN ('received', 'waiting')"),
        what="every event to be applied",
    )
    row = live_server.export()[pledge_id]
    assert [row[name] for name in ("status", "amount", "payments", "paid_total")] == [
        "cancelled",
        "12.50",
        "1",
        "2.00",
    ]
    assert live_server.query("SELECT DISTINCT status FROM gateway_events WHERE status = 'parked'") == []


def test_declined_card_can_be_retried(live_server: LiveServer, page: Page, stripe: FakeStripe) -> None:
    open_checkout(page, stripe)
    page.get_by_role("button", name="Decline").click()
    expect(page.get_by_role("alert")).to_have_text("Your card was declined.")
    page.get_by_label("Email").fill("again@example.org")
    page.get_by_role("button", name="Pay", exact=True).click()
    expect(page.get_by_text("You’re now giving The Harbour Lantern $2 a month.")).to_be_visible()
    row = live_server.export()[pledge_id_from_url(page.url)]
    assert (row["status"], row["payments"]) == ("active", "1")

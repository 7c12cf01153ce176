"""A gift by a Stripe-like server, from the widget to the end, by the real SDK and really signed webhooks."""

import datetime
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.accounts import open_account
from tests.browser.live_server import LiveServer, pledge_in, run_live_server
from tests.browser.support_box import SupportBox
from tests.clock import FakeClock
from tests.processes import wait_until
from tests.stripe_double import KEY, FakeStripe
from tests.stripe_double.webhooks import WebhookSender

SECRET = "whsec_that_only_the_browser_tests_know"
GIVER = "giver@example.org"


class RealTime(FakeClock):
    """Goes on by itself, as that of the processes does."""

    def __init__(self) -> None:
        super().__init__(datetime.datetime.now(datetime.UTC))

    def __call__(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC)


@pytest.fixture(scope="module")
def stripe() -> Iterator[FakeStripe]:
    with FakeStripe(clock=RealTime()) as stripe:
        yield stripe


@pytest.fixture(scope="module")
def live_server(
    stripe: FakeStripe, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """Return a newsroom that takes real money, as far as it knows."""
    settings = {"GATEWAY": "stripe", "STRIPE_SECRET_KEY": KEY, "STRIPE_API_BASE": stripe.url}
    name, folder = f"mainstay_money_{worker_id}", tmp_path_factory.mktemp("money")
    with run_live_server(name, folder, STRIPE_WEBHOOK_SECRET=SECRET, **settings) as live_server:
        stripe.deliver = WebhookSender(f"{live_server.base}/v1/webhooks/stripe", SECRET)
        yield live_server


@pytest.fixture
def page(browser: Browser, live_server: LiveServer) -> Iterator[Page]:
    context = browser.new_context(base_url=live_server.base, locale="en-US")
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


def to_the_checkout(page: Page, stripe: FakeStripe) -> None:
    page.goto("/demo")
    box = SupportBox(page)
    box.expect_state("form")
    box.choose("Monthly", "2")
    box.continue_button.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Checkout")
    assert page.url.startswith(stripe.url)


def test_a_gift_is_paid_seen_changed_and_ended(live_server: LiveServer, page: Page, stripe: FakeStripe) -> None:
    to_the_checkout(page, stripe)
    page.get_by_label("Email").fill(GIVER)
    page.get_by_role("button", name="Pay", exact=True).click()
    # The webhook may come before the reader or after: the page waits for it by itself.
    expect(page.get_by_text("You give The Harbour Lantern $2 a month.")).to_be_visible()
    pledge_id = pledge_in(page.url)
    row = live_server.export()[pledge_id]
    told = [row[name] for name in ("status", "payments", "paid_total", "email", "gateway")]
    assert told == ["active", "1", "2.00", GIVER, "stripe"]

    page.goto(open_account(live_server, pledge_id))
    expect(page.get_by_text("Next payment: $2 on ")).to_be_visible()
    page.get_by_role("button", name="Update the card").click()
    assert page.url.startswith(stripe.url)
    page.get_by_role("button", name="Save card").click()
    page.get_by_role("link", name="Change the amount").click()
    page.get_by_label("New amount, each month").fill("12.50")
    page.get_by_role("button", name="Change it").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("$12.50 a month")
    [subscription] = stripe.account.all("subscription")
    assert subscription["items"]["data"][0]["price"]["unit_amount"] == 1250

    page.get_by_role("link", name="End this gift").click()
    page.get_by_role("button", name="End it", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("This gift has ended.")
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


def test_a_declined_card_can_be_tried_again(live_server: LiveServer, page: Page, stripe: FakeStripe) -> None:
    to_the_checkout(page, stripe)
    page.get_by_role("button", name="Decline").click()
    expect(page.get_by_role("alert")).to_have_text("Your card was declined.")
    page.get_by_label("Email").fill("again@example.org")
    page.get_by_role("button", name="Pay", exact=True).click()
    expect(page.get_by_text("You give The Harbour Lantern $2 a month.")).to_be_visible()
    row = live_server.export()[pledge_in(page.url)]
    assert (row["status"], row["payments"]) == ("active", "1")

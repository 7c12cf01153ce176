"""Pledges and accounts with a fake Stripe server, the real SDK and signed webhooks."""

import csv
import datetime
import io
import re
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import pytest
from playwright.sync_api import Browser, Page, expect
from pypdf import PdfReader
from sqlalchemy import text

from service.bootstrap import build_container
from service.domain.notifications.yearly_receipts import enqueue_yearly_receipts
from tests.browser.accounts import change_address, link_in_email, pledge_page_url, session_cookie
from tests.browser.live_server import LiveServer, pledge_id_from_url
from tests.browser.stripe_server import SystemClock, run_stripe_server
from tests.browser.support_box import SupportBox
from tests.conftest import settings_for
from tests.processes import wait_until
from tests.stripe_double import FakeStripe

DONOR = "donor@example.org"


@pytest.fixture(scope="module")
def stripe() -> Iterator[FakeStripe]:
    with FakeStripe(clock=SystemClock()) as stripe:
        yield stripe


@pytest.fixture(scope="module")
def live_server(
    stripe: FakeStripe, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    with run_stripe_server(f"mainstay_money_{worker_id}", tmp_path_factory.mktemp("money"), stripe) as live_server:
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


def wait_for_events(live_server: LiveServer, stripe: FakeStripe) -> None:
    stripe.deliver_events()
    wait_until(
        lambda: not live_server.query("SELECT 1 FROM gateway_events WHERE status IN ('received', 'waiting')"),
        what="every event to be applied",
    )


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
    wait_for_events(live_server, stripe)
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


@dataclass(frozen=True)
class Supporter:
    """Someone who is signed in, gives $2 a month, and has the account page open."""

    page: Page
    email: str
    pledge_id: str
    subscription: str


@pytest.fixture
def supporter(live_server: LiveServer, page: Page, stripe: FakeStripe) -> Supporter:
    email = f"{uuid.uuid4().hex}@example.org"
    open_checkout(page, stripe)
    page.get_by_label("Email").fill(email)
    page.get_by_role("button", name="Pay", exact=True).click()
    expect(page.get_by_text("You’re now giving The Harbour Lantern $2 a month.")).to_be_visible()
    pledge_id = pledge_id_from_url(page.url)
    page.context.add_cookies([session_cookie(live_server, email)])
    page.goto("/me")
    expect(page.get_by_text("Next payment: $2 on ")).to_be_visible()
    [[subscription]] = live_server.query("SELECT subscription_reference FROM pledges WHERE id = :id", id=pledge_id)
    return Supporter(page, email, pledge_id, subscription)


def test_supporter_skips_a_payment_and_ends_the_pause(
    live_server: LiveServer, stripe: FakeStripe, supporter: Supporter
) -> None:
    page = supporter.page
    before = page.locator(".next-payment").inner_text()
    page.get_by_role("link", name="Pause or skip a payment").click()
    page.get_by_role("radio", name="Skip one payment").check()
    page.get_by_role("button", name="Pause my support").click()
    expect(page.get_by_role("status")).to_have_text("Your support is paused.")
    expect(page.locator(".next-payment")).not_to_have_text(before)
    assert stripe.get(supporter.subscription)["pause_collection"]["behavior"] == "void"
    page.get_by_role("link", name="End the pause").click()
    page.get_by_role("button", name="End the pause").click()
    expect(page.get_by_role("status")).to_contain_text("The pause has ended.")
    expect(page.locator(".next-payment")).to_have_text(before)
    assert stripe.get(supporter.subscription)["pause_collection"] is None
    wait_for_events(live_server, stripe)
    page.goto("/me")
    expect(page.locator(".next-payment")).to_have_text(before)


def test_supporter_switches_to_annual_and_back(
    live_server: LiveServer, stripe: FakeStripe, supporter: Supporter
) -> None:
    page = supporter.page
    before = page.locator(".next-payment").inner_text()
    for label, button, interval, amount in (
        ("Give once a year instead", "Switch to annual support", "year", 2400),
        ("Give every month instead", "Switch to monthly support", "month", 200),
    ):
        page.get_by_role("link", name=label).click()
        page.get_by_role("button", name=button).click()
        expect(page.get_by_role("status")).to_contain_text("Your support has changed.")
        [item] = stripe.get(supporter.subscription)["items"]["data"]
        assert (item["price"]["recurring"]["interval"], item["price"]["unit_amount"]) == (interval, amount)
        wait_for_events(live_server, stripe)
    page.goto("/me")
    expect(page.locator(".next-payment")).to_have_text(before)


def test_supporter_gives_more_by_a_suggestion_and_less_instead_of_cancelling(
    stripe: FakeStripe, supporter: Supporter
) -> None:
    page = supporter.page
    page.get_by_role("link", name="Change the amount").click()
    page.locator("[name=amount]").fill("12,50")
    page.get_by_role("button", name="Change amount").click()
    # What is wrong is said once above the form, and once beside the field.
    page.get_by_role("button", name="$12.50").click()
    expect(page.get_by_role("status")).to_contain_text("The new amount is set.")
    expect(page.get_by_role("heading", level=3)).to_contain_text("$12.50 a month")
    assert stripe.get(supporter.subscription)["items"]["data"][0]["price"]["unit_amount"] == 1250
    page.get_by_role("link", name="Cancel support").click()
    offer = page.get_by_role("link", name=re.compile("Give .+ a month instead"))
    less = offer.inner_text().removeprefix("Give ").removesuffix(" instead")
    offer.click()
    page.get_by_role("button", name="Change amount").click()
    expect(page.get_by_role("heading", level=3)).to_contain_text(less)
    assert 0 < stripe.get(supporter.subscription)["items"]["data"][0]["price"]["unit_amount"] < 1250


def test_supporter_uses_one_card_for_everything(
    live_server: LiveServer, stripe: FakeStripe, supporter: Supporter
) -> None:
    page = supporter.page
    # Signed in, they pay as the same customer again.
    page.goto("/support/default?frequency=monthly&amount=200")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Checkout")
    page.get_by_role("button", name="Pay", exact=True).click()
    expect(page.get_by_text("You’re now giving The Harbour Lantern $2 a month.")).to_be_visible()
    page.goto("/me")
    page.get_by_role("link", name="Use one card for all").click()
    expect(page.get_by_role("listitem").filter(has_text="$2 a month")).to_have_count(2)
    page.get_by_role("button", name="Enter a card").click()
    assert page.url.startswith(stripe.url)
    page.get_by_role("button", name="Save card").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("One card for everything")
    wait_for_events(live_server, stripe)
    page.reload()
    expect(page.get_by_text(re.compile("Last changed on .+"))).to_be_visible()
    customer = stripe.get(stripe.get(supporter.subscription)["customer"])
    card = customer["invoice_settings"]["default_payment_method"]
    both = [each for each in stripe.account.all("subscription") if each["customer"] == customer["id"]]
    assert [each["default_payment_method"] or card for each in both] == [card, card]


@pytest.mark.parametrize("way", ["on Stripe's page", "with the saved card"])
def test_supporter_pays_an_open_invoice_at_once(
    live_server: LiveServer, stripe: FakeStripe, supporter: Supporter, way: str
) -> None:
    page = supporter.page
    stripe.fail_renewal(supporter.subscription)
    wait_for_events(live_server, stripe)
    page.goto("/me")
    expect(page.locator(".owed")).to_be_visible()
    if way == "with the saved card":
        page.get_by_role("button", name="Try my card again").click()
        expect(page.get_by_role("status")).to_contain_text("Thank you")
    else:
        page.get_by_role("button", name="Pay $2 now").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Invoice")
        page.get_by_role("button", name="Pay invoice").click()
        expect(page.get_by_text("200 usd, paid")).to_be_visible()
    wait_for_events(live_server, stripe)
    page.goto("/me")
    expect(page.locator(".owed")).to_have_count(0)
    row = live_server.export()[supporter.pledge_id]
    assert (row["status"], row["payments"], row["paid_total"]) == ("active", "2", "4.00")


def sent_receipts(live_server: LiveServer, pledge_id: str) -> list[uuid.UUID]:
    """Return the payments of a pledge, once for each receipt that was sent."""
    rows = live_server.query(
        "SELECT payment_id FROM emails WHERE kind = 'receipt' AND status = 'sent' AND pledge_id = :id",
        id=pledge_id,
    )
    return [payment_id for [payment_id] in rows]


def test_supporter_has_a_receipt_sent_again(live_server: LiveServer, supporter: Supporter) -> None:
    page, pledge_id = supporter.page, supporter.pledge_id
    wait_until(lambda: len(sent_receipts(live_server, pledge_id)) == 1, what="the first receipt")
    page.get_by_role("link", name="Receipt for").click()
    send = page.get_by_role("button", name="Email me this receipt")
    # Within minutes of the first one, no second one is sent.
    send.click()
    expect(page.get_by_role("status")).to_contain_text("on its way")
    assert live_server.query("SELECT count(*) FROM emails WHERE pledge_id = :id", id=pledge_id) == [(1,)]
    live_server.query(
        "UPDATE emails SET created_at = created_at - interval '10 minutes' WHERE pledge_id = :id RETURNING 1",
        id=pledge_id,
    )
    send.click()
    expect(page.get_by_role("status")).to_contain_text("on its way")
    wait_until(lambda: len(sent_receipts(live_server, pledge_id)) == 2, what="the receipt again")
    title = page.title()
    number = re.search(r"\d{4}(-\w{4}){3}", title)[0]
    emails = [live_server.get_html(path) for path in live_server.emails_to(supporter.email)]
    assert sum(number in email for email in emails) == 2


def test_statement_of_the_year_equals_the_ledger_and_replaces_later_receipts(
    live_server: LiveServer, stripe: FakeStripe, supporter: Supporter
) -> None:
    page, pledge_id = supporter.page, supporter.pledge_id
    page.get_by_role("link", name="Statements and yearly receipts").click()
    page.get_by_label("One a year, in January").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("Saved.")
    for _ in range(2):
        stripe.renew(supporter.subscription)
    wait_for_events(live_server, stripe)
    wait_until(lambda: sent_receipts(live_server, pledge_id) != [], what="the first receipt")
    [[first], *renewals] = live_server.query(
        "SELECT id FROM payments WHERE pledge_id = :id ORDER BY paid_at, id", id=pledge_id
    )
    assert sent_receipts(live_server, pledge_id) == [first]
    token = live_server.run_command("token", "create", "--name", "refunds", "--scope", "manage").strip()
    for [payment_id], body in zip(renewals, ({"amount": 50}, {}), strict=True):
        refund = f"/v1/admin/payments/{payment_id}/refund"
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f"refund-{payment_id}"}
        live_server.post(refund, body, **headers)

    row = live_server.export()[pledge_id]
    assert (row["payments"], row["paid_total"]) == ("2", "3.50")
    page.reload()
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("PDF for .* so far")).click()
    pages = PdfReader(download.value.path()).pages
    statement = re.sub(r"\s+", " ", " ".join(found.extract_text() for found in pages))
    assert f"Total, USD $6.00 USD $2.50 USD ${row['paid_total']} USD" in statement
    assert f"Paid by {supporter.email}" in statement
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("CSV for .* so far")).click()
    lines = list(csv.DictReader(io.StringIO(download.value.path().read_text("utf-8-sig"))))
    assert sum(Decimal(line["Net"]) for line in lines) == Decimal(row["paid_total"])

    year = datetime.datetime.now(datetime.UTC).year
    enqueue_in_january(live_server, year + 1)
    page.goto(statements_link(live_server, supporter.email, year))
    expect(page.get_by_label("One a year, in January")).to_be_checked()


def enqueue_in_january(live_server: LiveServer, year: int) -> None:
    """Enqueue the emails about the yearly receipts as in January, and let them be due now."""
    container = build_container(settings_for(live_server.database_url))
    with container.database.transaction() as session:
        january = datetime.datetime(year, 1, 3, 12, tzinfo=datetime.UTC)
        assert enqueue_yearly_receipts(session, now=january) == 1
        session.execute(
            text("UPDATE emails SET due_at = :now WHERE kind = 'yearly_receipt'"), {"now": container.clock()}
        )
    container.database.engine.dispose()


def statements_link(live_server: LiveServer, email: str, year: int) -> str:
    """Wait for the email about the receipt of a year, and return its link."""
    wait_until(
        lambda: live_server.query("SELECT 1 FROM emails WHERE kind = 'yearly_receipt' AND status = 'sent'"),
        what="the email about the yearly receipt",
    )
    found = [live_server.get_html(path) for path in live_server.emails_to(email)]
    [html] = [html for html in found if f"receipt for {year}" in html]
    return re.search(rf"{re.escape(live_server.base_url)}/me/statements[^\s\"<]*", html)[0]


def test_supporter_changes_address_takes_their_data_and_is_erased(
    live_server: LiveServer, stripe: FakeStripe, supporter: Supporter
) -> None:
    page, new = supporter.page, "erased.at.the.end@example.org"
    customer = stripe.get(supporter.subscription)["customer"]
    change_address(live_server, page, new)
    assert stripe.get(customer)["email"] == new
    assert "/me/email/undo/" in link_in_email(live_server, supporter.email, "email/undo")

    page.goto("/me/statements")
    with page.expect_download() as statement:
        page.get_by_role("link", name=re.compile("CSV for .* so far")).click()
    assert "2.00" in statement.value.path().read_text("utf-8-sig")
    page.goto("/me/data")
    with page.expect_download() as data:
        page.get_by_role("button", name="Download my data (ZIP)").click()
    with zipfile.ZipFile(data.value.path()) as archive:
        assert new in archive.read("csv/profile.csv").decode()
    page.get_by_role("link", name="Delete my data").click()
    page.get_by_role("button", name="Send me the link to confirm").click()
    page.goto(link_in_email(live_server, new, "erase"))
    page.get_by_role("button", name="Delete my data").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your data is deleted")
    assert stripe.get(supporter.subscription)["status"] == "canceled"
    assert customer not in stripe.account.objects
    row = live_server.export()[supporter.pledge_id]
    assert (row["status"], row["email"]) == ("cancelled", "")

"""Pledges from the box through the checkout to the export."""

import re

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.browser.conftest import BOTH_BROWSERS
from tests.browser.live_server import LiveServer, pledge_id_from_url
from tests.browser.network import PLEDGES, RecordedRequests, fail_requests, pause_requests, record_requests
from tests.browser.support_box import SupportBox

CHECKOUT = re.compile("/sandbox/checkout/")
THANK_YOU = re.compile("/support/default/thank-you")


@pytest.fixture
def sent(page: Page) -> RecordedRequests[Request]:
    """Return a list that records every pledge request of the page."""
    return record_requests(page, "/v1/pledges")


def keys_of(sent: list[Request]) -> list[str]:
    return [request.headers["idempotency-key"] for request in sent]


def test_monthly_pledge_reaches_thank_you_page_and_export(live_server: LiveServer, demo: SupportBox) -> None:
    page = demo.page
    demo.choose("Monthly", "2")
    expect(demo.continue_button).to_have_text("Continue – $2 a month")
    demo.continue_button.click()
    expect(page).to_have_url(CHECKOUT)
    expect(page.get_by_text("This is a test. No card is needed and no money moves.")).to_be_visible()
    page.get_by_role("button", name="Pay $2 a month").click()
    expect(page).to_have_url(THANK_YOU)
    expect(page.get_by_text("You’re now giving The Harbour Lantern $2 a month.")).to_be_visible()

    row = live_server.export()[pledge_id_from_url(page.url)]
    values = {
        name: row[name] for name in ("status", "frequency", "amount", "amount_minor", "currency", "payments")
    }
    assert values == {
        "status": "active",
        "frequency": "monthly",
        "amount": "2.00",
        "amount_minor": "200",
        "currency": "USD",
        "payments": "1",
    }
    assert row["page_url"] == f"{live_server.base_url}/demo"


@pytest.mark.parametrize(
    ("frequency", "amount", "promise", "thanks", "status"),
    [
        ("Once", "7.5", "Continue – $7.50 once", "You’ve given The Harbour Lantern $7.50.", "completed"),
        ("Annual", "$25", "Continue – $25 a year", "You’re now giving The Harbour Lantern $25 a year.", "active"),
    ],
)
def test_one_time_and_annual_pledges_match_the_button(
    live_server: LiveServer, demo: SupportBox, frequency: str, amount: str, promise: str, thanks: str, status: str
) -> None:
    demo.choose(frequency, amount)
    expect(demo.continue_button).to_have_text(promise)
    demo.continue_button.click()
    demo.page.get_by_role("button", name=re.compile("^Pay ")).click()
    expect(demo.page.get_by_text(thanks)).to_be_visible()
    assert live_server.export()[pledge_id_from_url(demo.page.url)]["status"] == status


def test_declined_payment_can_be_retried(live_server: LiveServer, demo: SupportBox) -> None:
    page = demo.page
    demo.choose("Monthly", "3.25")
    demo.continue_button.click()
    page.get_by_role("button", name="Simulate a declined card").click()
    expect(page.get_by_role("alert")).to_have_text("The payment was declined. You can try again.")
    page.get_by_label("Email address (optional)").fill("donor@example.org")
    page.get_by_role("button", name="Pay $3.25 a month").click()
    expect(page).to_have_url(THANK_YOU)

    row = live_server.export()[pledge_id_from_url(page.url)]
    assert (row["status"], row["email"], row["paid_total"]) == ("active", "donor@example.org", "3.25")


def test_abandoned_checkout_leaves_the_pledge_pending(live_server: LiveServer, demo: SupportBox) -> None:
    page = demo.page
    demo.choose("Monthly", "4.75")
    demo.continue_button.click()
    page.get_by_role("link", name="Go back without paying").click()
    expect(page).to_have_url(re.compile("/(demo|support/default)"))

    [row] = [row for row in live_server.export().values() if row["amount"] == "4.75"]
    assert (row["status"], row["payments"], row["paid_total"]) == ("pending", "0", "0.00")


@BOTH_BROWSERS
def test_back_from_the_checkout_allows_another_choice(demo: SupportBox) -> None:
    demo.continue_button.click()
    expect(demo.page).to_have_url(CHECKOUT)
    demo.page.go_back()
    demo.expect_state("form")
    demo.choose("Once", "6")
    demo.continue_button.click()
    expect(demo.page.get_by_role("button", name="Pay $6 once")).to_be_visible()


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("1.99", "The minimum is $2."),
        ("1.000", "Enter at most 2 decimals, such as 7.50."),
        ("7.555", "Enter at most 2 decimals, such as 7.50."),
        ("20 €", "Amounts here are in USD. Enter just the number, such as 7.50."),
        ("10000.01", "The most you can give here is $10,000. Want to give more? Contact us."),
        ("some", "Enter an amount, such as 7.50."),
    ],
)
def test_invalid_amount_shows_error_and_sends_no_request(
    live_server: LiveServer, demo: SupportBox, sent: RecordedRequests[Request], typed: str, message: str
) -> None:
    before = live_server.count("pledges")
    demo.other_amount.fill(typed)
    demo.continue_button.click()
    demo.expect_state("invalid")
    expect(demo.error).to_have_text(message)
    expect(demo.other_amount).to_be_focused()
    expect(demo.other_amount).to_have_value(typed)
    expect(demo.other_amount).to_have_accessible_description(message)
    assert (sent, live_server.count("pledges")) == ([], before)

    demo.other_amount.fill("5")
    demo.expect_state("form")
    expect(demo.error).to_be_empty()


def test_amount_in_another_notation_is_offered_as_a_button(
    demo: SupportBox, sent: RecordedRequests[Request]
) -> None:
    demo.choose("Monthly", "12,50")
    expect(demo.continue_button).to_have_text("Continue")
    demo.continue_button.click()
    demo.expect_state("invalid")
    expect(demo.error).to_contain_text("Did you mean $12.50?")
    expect(demo.other_amount).to_be_focused()
    demo.page.keyboard.press("Tab")
    suggestion = demo.host.get_by_role("button", name="Use $12.50")
    expect(suggestion).to_be_focused()
    demo.page.keyboard.press("Enter")
    demo.expect_state("form")
    expect(demo.error).to_be_empty()
    expect(demo.other_amount).to_have_value("12.50")
    expect(demo.submit).to_have_text("Continue – $12.50 a month")
    expect(demo.submit).to_be_focused()
    assert sent == []
    demo.page.keyboard.press("Enter")
    expect(demo.page).to_have_url(CHECKOUT)


@pytest.mark.parametrize(
    ("typed", "label"),
    [
        ("1,000", "$1,000"),
        ("1 000.50", "$1,000.50"),
        ("٧٫٥", "$7.50"),
        ("۷٫۵", "$7.50"),
        ("＄２０", "$20"),
        ("20 USD", "$20"),
        ("1'000", "$1,000"),
    ],
)
def test_button_states_the_amount_as_it_is_read(demo: SupportBox, typed: str, label: str) -> None:
    demo.choose("Once", typed)
    expect(demo.submit).to_have_text(f"Continue – {label} once")


@BOTH_BROWSERS
@pytest.mark.parametrize("again", ["a second click", "Enter"])
def test_double_submit_creates_one_pledge(
    live_server: LiveServer, demo: SupportBox, sent: RecordedRequests[Request], again: str
) -> None:
    page = demo.page
    paused = pause_requests(page, PLEDGES)
    before = live_server.count("pledges")
    if again == "Enter":
        demo.other_amount.press("Enter")
        demo.submit.press("Enter")
    else:
        demo.submit.dblclick()
    demo.force_click(demo.submit)
    demo.expect_state("submitting")
    expect(demo.continue_button).to_have_text("Taking you to checkout…")
    paused.resume()
    expect(page).to_have_url(CHECKOUT)
    assert (len(sent.wait_for(1)), live_server.count("pledges") - before) == (1, 1)


@BOTH_BROWSERS
def test_retry_after_failure_keeps_the_idempotency_key(
    live_server: LiveServer, demo: SupportBox, sent: RecordedRequests[Request]
) -> None:
    before = live_server.count("pledges")
    fail_requests(demo.page, PLEDGES, 503)
    demo.continue_button.click()
    demo.expect_state("error")
    expect(demo.host).to_contain_text("You haven’t been charged.")
    demo.retry.click()
    expect(demo.page).to_have_url(CHECKOUT)
    first, second = keys_of(sent.wait_for(2))
    assert first == second
    assert re.fullmatch(r"\d+-\d+", first)
    assert live_server.count("pledges") - before == 1


def test_lost_response_does_not_create_a_second_pledge(
    live_server: LiveServer, demo: SupportBox, sent: RecordedRequests[Request]
) -> None:
    def drop_response(route: Route) -> None:
        assert route.fetch().status == 201
        route.abort()

    before = live_server.count("pledges")
    demo.page.route(PLEDGES, drop_response, times=1)
    demo.continue_button.click()
    demo.expect_state("error")
    expect(demo.host).to_contain_text("We couldn’t reach our server.")
    demo.retry.click()
    expect(demo.page).to_have_url(CHECKOUT)
    first, second = keys_of(sent.wait_for(2))
    assert first == second
    assert live_server.count("pledges") - before == 1


def test_another_amount_gets_another_idempotency_key(demo: SupportBox, sent: RecordedRequests[Request]) -> None:
    fail_requests(demo.page, PLEDGES, 503)
    demo.other_amount.fill("5")
    demo.continue_button.click()
    demo.expect_state("error")
    demo.back.click()
    expect(demo.other_amount).to_have_value("5")
    demo.other_amount.fill("6")
    demo.continue_button.click()
    expect(demo.page.get_by_role("button", name="Pay $6 a month")).to_be_visible()
    assert len(set(keys_of(sent.wait_for(2)))) == len(sent) == 2


@BOTH_BROWSERS
def test_retry_waits_for_the_retry_after_header(demo: SupportBox, sent: RecordedRequests[Request]) -> None:
    # The wait is long enough to see the disabled button on a slow machine, and short enough for the test.
    fail_requests(demo.page, PLEDGES, 429, retry_after=5)
    demo.continue_button.click()
    demo.expect_state("error")
    expect(demo.host.get_by_role("button", name="Try again in")).to_be_disabled()
    demo.host.get_by_role("button", name="Try again", exact=True).click()
    expect(demo.page).to_have_url(CHECKOUT)
    assert len(sent.wait_for(2)) == 2

"""A reader gives: from the box, through the checkout, to the treasurer's export."""

import re

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.browser.live_server import LiveServer, pledge_in
from tests.browser.network import PLEDGES, RecordedRequests, fail_requests, pause_requests, record_requests
from tests.browser.support_box import SupportBox

CHECKOUT = re.compile("/sandbox/checkout/")
THANK_YOU = re.compile("/support/default/thank-you")


@pytest.fixture
def sent(page: Page) -> RecordedRequests[Request]:
    """Return a list to which every pledge that the page sends is added."""
    return record_requests(page, "/v1/pledges")


def keys_of(sent: list[Request]) -> list[str]:
    return [request.headers["idempotency-key"] for request in sent]


def test_two_dollars_a_month_reach_the_thank_you_page_and_the_export(
    live_server: LiveServer, demo: SupportBox
) -> None:
    page = demo.page
    demo.choose("Monthly", "2")
    expect(demo.continue_button).to_have_text("Continue – $2 a month")
    demo.continue_button.click()
    expect(page).to_have_url(CHECKOUT)
    expect(page.get_by_text("This is a test. No card is taken and no money moves.")).to_be_visible()
    page.get_by_role("button", name="Pay $2 a month").click()
    expect(page).to_have_url(THANK_YOU)
    expect(page.get_by_text("You give The Harbour Lantern $2 a month.")).to_be_visible()

    row = live_server.export()[pledge_in(page.url)]
    told = {name: row[name] for name in ("status", "frequency", "amount", "amount_minor", "currency", "payments")}
    assert told == {
        "status": "active",
        "frequency": "monthly",
        "amount": "2.00",
        "amount_minor": "200",
        "currency": "USD",
        "payments": "1",
    }
    assert row["page_url"] == f"{live_server.base}/demo"


@pytest.mark.parametrize(
    ("frequency", "amount", "promise", "thanks", "status"),
    [
        ("Once", "7.5", "Continue – $7.50 once", "You gave The Harbour Lantern $7.50.", "completed"),
        ("Annual", "$25", "Continue – $25 a year", "You give The Harbour Lantern $25 a year.", "active"),
    ],
)
def test_a_gift_once_or_each_year_is_what_the_button_promised(
    live_server: LiveServer, demo: SupportBox, frequency: str, amount: str, promise: str, thanks: str, status: str
) -> None:
    demo.choose(frequency, amount)
    expect(demo.continue_button).to_have_text(promise)
    demo.continue_button.click()
    demo.page.get_by_role("button", name=re.compile("^Pay ")).click()
    expect(demo.page.get_by_text(thanks)).to_be_visible()
    assert live_server.export()[pledge_in(demo.page.url)]["status"] == status


def test_a_declined_payment_can_be_tried_again(live_server: LiveServer, demo: SupportBox) -> None:
    page = demo.page
    demo.choose("Monthly", "3.25")
    demo.continue_button.click()
    page.get_by_role("button", name="Decline (simulate)").click()
    expect(page.get_by_role("alert")).to_have_text("The payment was declined. You can try again.")
    page.get_by_label("E-mail address (optional)").fill("donor@example.org")
    page.get_by_role("button", name="Pay $3.25 a month").click()
    expect(page).to_have_url(THANK_YOU)

    row = live_server.export()[pledge_in(page.url)]
    assert (row["status"], row["email"], row["paid_total"]) == ("active", "donor@example.org", "3.25")


def test_whoever_walks_away_from_the_checkout_has_given_nothing(live_server: LiveServer, demo: SupportBox) -> None:
    page = demo.page
    demo.choose("Monthly", "4.75")
    demo.continue_button.click()
    page.get_by_role("link", name="Go back without paying").click()
    expect(page).to_have_url(re.compile("/(demo|support/default)"))

    [row] = [row for row in live_server.export().values() if row["amount"] == "4.75"]
    assert (row["status"], row["payments"], row["paid_total"]) == ("pending", "0", "0.00")


def test_a_reader_who_comes_back_from_the_checkout_can_choose_again(demo: SupportBox) -> None:
    demo.continue_button.click()
    expect(demo.page).to_have_url(CHECKOUT)
    demo.page.go_back()
    demo.expect_state("form")
    demo.choose("Once", "6")
    demo.continue_button.click()
    expect(demo.page.get_by_role("button", name="Pay $6 once")).to_be_visible()


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        ("1.99", "The smallest amount we can take is $2."),
        ("1.000", "Write the amount without marks between thousands, for example 1000."),
        ("10000.01", "The largest amount we can take here is $10,000."),
        ("2,50", "Write the amount like this: 2.50."),
        ("some", "Write the amount in digits, for example 7.50."),
    ],
)
def test_an_amount_that_cannot_be_taken_is_explained_at_its_field_and_sent_nowhere(
    live_server: LiveServer, demo: SupportBox, sent: RecordedRequests[Request], typed: str, complaint: str
) -> None:
    before = live_server.count("pledges")
    demo.other_amount.fill(typed)
    demo.continue_button.click()
    demo.expect_state("invalid")
    expect(demo.error).to_have_text(complaint)
    expect(demo.other_amount).to_be_focused()
    expect(demo.other_amount).to_have_value(typed)
    expect(demo.other_amount).to_have_accessible_description(complaint)
    assert (sent, live_server.count("pledges")) == ([], before)

    demo.other_amount.fill("5")
    demo.expect_state("form")
    expect(demo.error).to_be_empty()


@pytest.mark.parametrize("again", ["a second click", "Enter"])
def test_pressing_continue_twice_makes_one_pledge(
    live_server: LiveServer, demo: SupportBox, sent: RecordedRequests[Request], again: str
) -> None:
    page = demo.page
    held = pause_requests(page, PLEDGES)
    before = live_server.count("pledges")
    if again == "Enter":
        demo.other_amount.press("Enter")
        demo.submit.press("Enter")
    else:
        demo.submit.dblclick()
    demo.retry_until(demo.submit)
    demo.expect_state("submitting")
    expect(demo.continue_button).to_have_text("Taking you to checkout…")
    held.resume()
    expect(page).to_have_url(CHECKOUT)
    assert (len(sent.wait_for(1)), live_server.count("pledges") - before) == (1, 1)


def test_a_retry_after_a_failure_is_the_same_intent(
    live_server: LiveServer, demo: SupportBox, sent: RecordedRequests[Request]
) -> None:
    before = live_server.count("pledges")
    fail_requests(demo.page, PLEDGES, 503)
    demo.continue_button.click()
    demo.expect_state("error")
    expect(demo.host).to_contain_text("You have not been charged.")
    demo.retry.click()
    expect(demo.page).to_have_url(CHECKOUT)
    first, second = keys_of(sent.wait_for(2))
    assert first == second
    assert re.fullmatch(r"\d+-\d+", first)
    assert live_server.count("pledges") - before == 1


def test_an_answer_that_was_lost_on_its_way_does_not_make_a_second_pledge(
    live_server: LiveServer, demo: SupportBox, sent: RecordedRequests[Request]
) -> None:
    def lose_the_answer(route: Route) -> None:
        assert route.fetch().status == 201
        route.abort()

    before = live_server.count("pledges")
    demo.page.route(PLEDGES, lose_the_answer, times=1)
    demo.continue_button.click()
    demo.expect_state("error")
    expect(demo.host).to_contain_text("We could not reach our server.")
    demo.retry.click()
    expect(demo.page).to_have_url(CHECKOUT)
    first, second = keys_of(sent.wait_for(2))
    assert first == second
    assert live_server.count("pledges") - before == 1


def test_another_amount_is_another_intent(demo: SupportBox, sent: RecordedRequests[Request]) -> None:
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


def test_a_service_that_asks_for_patience_gets_it(demo: SupportBox, sent: RecordedRequests[Request]) -> None:
    # Long enough for a slow machine to see the button shut, and no longer than a test may wait for it to open.
    fail_requests(demo.page, PLEDGES, 429, retry_after=5)
    demo.continue_button.click()
    demo.expect_state("error")
    expect(demo.host.get_by_role("button", name="Try again in")).to_be_disabled()
    demo.host.get_by_role("button", name="Try again", exact=True).click()
    expect(demo.page).to_have_url(CHECKOUT)
    assert len(sent.wait_for(2)) == 2

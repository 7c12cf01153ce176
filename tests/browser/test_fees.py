"""Covered fees in the box, and payments that are temporarily unavailable."""

import re

from playwright.sync_api import expect

from tests.browser.live_server import LiveServer
from tests.browser.network import PLEDGES, fail_requests, pause_requests, record_requests
from tests.browser.support_box import SupportBox
from tests.browser.three_currencies import DINAR, YEN

THANK_YOU_URL = re.compile("/thank-you")


def test_fees_are_shown_and_not_covered_by_default(box: SupportBox) -> None:
    expect(box.fees).not_to_be_checked()
    expect(box.fees).to_have_accessible_name("Add €0.37 to cover the fees")
    expect(box.continue_button).to_have_text("Continue – €7 a month")
    box.fees.check()
    expect(box.continue_button).to_have_text("Continue – €7.37 a month")
    box.other_amount.fill("100")
    expect(box.fees).to_have_accessible_name("Add €1.78 to cover the fees")
    expect(box.continue_button).to_have_text("Continue – €101.78 a month")
    box.other_amount.fill("seven")
    expect(box.fees).to_have_accessible_name("Cover the fees")
    expect(box.continue_button).to_have_text("Continue")


def test_covered_fees_are_charged_on_top_of_the_amount(box: SupportBox) -> None:
    sent = record_requests(box.page, "/v1/pledges")
    box.other_amount.fill("7.50")
    box.fees.check()
    with box.page.expect_response(PLEDGES) as response_info:
        box.continue_button.click()
    [request] = sent.wait_for(1)
    body = request.post_data_json
    assert (body["amount"], body["currency"], body["cover_fees"]) == (750, "EUR", True)
    assert response_info.value.status == 201
    expect(box.page.get_by_role("button", name="Pay €7.87")).to_be_visible()


def test_fees_are_not_sent_in_a_currency_without_fee_cover(box: SupportBox) -> None:
    sent = record_requests(box.page, "/v1/pledges")
    box.fees.check()
    box.currency.select_option(DINAR)
    expect(box.fees).to_be_hidden()
    expect(box.continue_button).to_have_text("Continue – KWD 5 once")
    box.continue_button.click()
    assert "cover_fees" not in sent.wait_for(1)[0].post_data_json


def test_unavailable_payment_is_retried_with_the_same_key(live_server: LiveServer, box: SupportBox) -> None:
    before = live_server.count("pledges")
    sent = record_requests(box.page, "/v1/pledges")
    fail_requests(box.page, PLEDGES, 503, retry_after=2, code="payments_unavailable")
    box.currency.select_option(YEN)
    box.continue_button.click()
    box.expect_state("error")
    expect(box.host).to_contain_text("We can’t take payments right now. You haven’t been charged.")
    expect(box.retry).to_be_disabled()
    box.retry.click()
    expect(box.page.get_by_role("button", name="Pay ¥700")).to_be_visible()
    first, second = (request.headers["idempotency-key"] for request in sent.wait_for(2))
    assert (first == second, live_server.count("pledges") - before) == (True, 1)


def test_unavailable_payment_offers_reminder_with_the_same_choice(
    live_server: LiveServer, box: SupportBox
) -> None:
    sent = record_requests(box.page, "/v1/reminders")
    fail_requests(box.page, PLEDGES, 503, retry_after=600, code="payments_unavailable")
    box.currency.select_option(YEN)
    box.other_amount.fill("1200")
    box.continue_button.click()
    box.expect_state("error")
    box.remind_later.click()
    box.expect_state("reminder-form")
    box.email.fill("yen@example.org")
    box.remind.click()
    box.expect_state("reminder-set")
    body = sent.wait_for(1)[0].post_data_json
    assert (body["frequency"], body["amount"], body["currency"]) == ("monthly", 1200, "JPY")


def test_controls_are_disabled_while_submitting(box: SupportBox) -> None:
    pause_requests(box.page, PLEDGES)
    box.continue_button.click()
    box.expect_state("submitting")
    for control in (box.currency, box.fees, box.other_amount):
        expect(control).to_be_disabled()

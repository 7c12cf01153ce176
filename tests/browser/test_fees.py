"""Readers who cover the fees, and readers whom the payment processor cannot serve just now, in the box."""

import re

from playwright.sync_api import expect

from tests.browser.live_server import LiveServer
from tests.browser.network import PLEDGES, fail_requests, pause_requests, record_requests
from tests.browser.support_box import SupportBox
from tests.browser.three_currencies import DINAR, YEN

THANKED = re.compile("/thank-you")


def test_the_fees_are_named_before_they_are_covered_and_nobody_is_ticked_beforehand(box: SupportBox) -> None:
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


def test_fees_that_were_ticked_are_charged_and_the_newsroom_gets_the_whole_amount(box: SupportBox) -> None:
    sent = record_requests(box.page, "/v1/pledges")
    box.other_amount.fill("7.50")
    box.fees.check()
    with box.page.expect_response(PLEDGES) as answered:
        box.continue_button.click()
    [request] = sent.wait_for(1)
    body = request.post_data_json
    assert (body["amount"], body["currency"], body["cover_fees"]) == (750, "EUR", True)
    assert answered.value.status == 201
    expect(box.page.get_by_role("button", name="Pay €7.87")).to_be_visible()


def test_fees_are_not_charged_in_a_currency_in_which_they_cannot_be_covered(box: SupportBox) -> None:
    sent = record_requests(box.page, "/v1/pledges")
    box.fees.check()
    box.currency.select_option(DINAR)
    expect(box.fees).to_be_hidden()
    expect(box.continue_button).to_have_text("Continue – KWD 5 once")
    box.continue_button.click()
    assert "cover_fees" not in sent.wait_for(1)[0].post_data_json


def test_a_gift_that_cannot_be_paid_just_now_is_tried_again_as_the_same_gift(
    live_server: LiveServer, box: SupportBox
) -> None:
    before = live_server.count("pledges")
    sent = record_requests(box.page, "/v1/pledges")
    fail_requests(box.page, PLEDGES, 503, retry_after=2, code="payments_unavailable")
    box.currency.select_option(YEN)
    box.continue_button.click()
    box.expect_state("error")
    expect(box.host).to_contain_text("Payments cannot be taken right now. You have not been charged.")
    expect(box.retry).to_be_disabled()
    box.retry.click()
    expect(box.page.get_by_role("button", name="Pay ¥700")).to_be_visible()
    first, second = (request.headers["idempotency-key"] for request in sent.wait_for(2))
    assert (first == second, live_server.count("pledges") - before) == (True, 1)


def test_who_cannot_pay_just_now_may_be_reminded_of_the_same_choice(
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


def test_a_choice_that_is_on_its_way_is_held_still(box: SupportBox) -> None:
    pause_requests(box.page, PLEDGES)
    box.continue_button.click()
    box.expect_state("submitting")
    for control in (box.currency, box.fees, box.other_amount):
        expect(control).to_be_disabled()

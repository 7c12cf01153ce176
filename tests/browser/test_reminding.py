"""A reader who is not ready asks to be reminded, is reminded, and changes their mind as they like."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.live_server import LiveServer
from tests.browser.network import REMINDERS, fail_requests, pause_requests, record_requests
from tests.browser.support_box import REMINDER_SET, SupportBox

# With the choice that was made, and a word on which reminder led there.
GIFT_PAGE = re.compile(r"/support/default\?frequency=annual&amount=3000&from=[\w-]+$")


def test_a_reminder_is_set_written_followed_and_minded(live_server: LiveServer, demo: SupportBox) -> None:
    page, address = demo.page, "patient.reader@example.org"
    demo.choose("Annual", "30")
    demo.not_ready.click()
    demo.email.fill(address)
    demo.remind.click()
    expect(demo.heading).to_have_text(REMINDER_SET)
    demo.expect_state("reminder-set")

    live_server.wait_for_mails(address)
    page.goto("/dev/outbox")
    page.get_by_role("link").filter(has_text=address).click()
    link = page.locator("pre").get_by_role("link").filter(has_text="/r/").get_attribute("href")
    assert link.startswith(f"{live_server.base}/r/")
    page.frame_locator("iframe").get_by_role("link", name=re.compile(r"\$30")).click()
    expect(page).to_have_url(GIFT_PAGE)
    expect(page.get_by_role("radio", name="Annual")).to_be_checked()
    expect(page.get_by_label("Other amount")).to_have_value("30")

    page.go_back()
    page.locator("pre").get_by_role("link").filter(has_text="/r/").click()
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("We have written to you")
    page.get_by_role("link", name="Give $30 a year").click()
    expect(page).to_have_url(GIFT_PAGE)

    with live_server.paused_worker():
        page.goto(link)
        page.get_by_role("button", name="Remind me next month").click()
        expect(heading).to_have_text("We will remind you")
        page.get_by_role("button", name="Cancel the reminder").click()
        expect(heading).to_have_text("Your reminder is cancelled")
        expect(page.get_by_role("button", name="Cancel the reminder")).to_have_count(0)
        page.get_by_role("button", name="Remind me next month").click()
        expect(heading).to_have_text("We will remind you")
        page.get_by_role("button", name="Cancel the reminder").click()
        expect(heading).to_have_text("Your reminder is cancelled")
    # A cancelled reminder is never sent, and one that was set again is sent once more.
    page.get_by_role("button", name="Remind me next month").click()
    assert len(live_server.wait_for_mails(address, number=2)) == 2


def test_looking_at_the_reminder_page_changes_nothing(live_server: LiveServer, page: Page, email: str) -> None:
    # The worker does change reminders, so it must not be at work between the two looks.
    with live_server.paused_worker():
        before = live_server.query("SELECT status, due_at, occurrence FROM reminders ORDER BY id")
        for address in (email, f"{email}?lang=ru", f"{email}/cancel", f"{email}/snooze", f"{email}/confirm"):
            page.goto(address)
        assert live_server.query("SELECT status, due_at, occurrence FROM reminders ORDER BY id") == before


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        ("", "Write your e-mail address."),
        ("reader", "Write the address in full, for example name@example.org."),
        ("reader@example", None),
    ],
)
def test_an_address_that_cannot_be_written_to_is_explained_at_its_field(
    live_server: LiveServer, demo: SupportBox, typed: str, complaint: str | None
) -> None:
    before = live_server.count("reminders")
    demo.not_ready.click()
    demo.email.fill(typed)
    demo.remind.click()
    demo.expect_state("invalid")
    expect(demo.email).to_be_focused()
    expect(demo.email).to_have_value(typed)
    # The last one passes the browser's own check, so the service says what is wrong with it.
    expect(demo.error).to_have_text(complaint or re.compile("."))
    assert live_server.count("reminders") == before


def test_the_reminder_request_says_no_more_than_it_must(demo: SupportBox) -> None:
    sent = record_requests(demo.page, "/v1/reminders")
    demo.page.goto("/demo?utm_source=letter#comments")
    demo.not_ready.click()
    demo.email.fill("terse@example.org")
    demo.remind.click()
    demo.expect_state("reminder-set")
    [request] = sent.wait_for(1)
    body = request.post_data_json
    consent = body.pop("consent_version")
    assert re.fullmatch("en-[0-9a-f]{8}", consent)
    assert body == {
        "campaign": "default",
        "frequency": "monthly",
        "amount": 700,
        "currency": "USD",
        "email": "terse@example.org",
        "months": 1,
        "timezone": "Europe/Amsterdam",
        "page_url": demo.page.url.partition("?")[0],
        "lang": "en",
    }
    assert "referer" not in request.all_headers()


def test_pressing_the_reminder_button_twice_sends_one_request(demo: SupportBox) -> None:
    sent, held = record_requests(demo.page, "/v1/reminders"), pause_requests(demo.page, REMINDERS)
    demo.not_ready.click()
    demo.email.fill("twice@example.org")
    demo.email.press("Enter")
    demo.retry_until(demo.submit)
    demo.expect_state("submitting")
    held.resume()
    demo.expect_state("reminder-set")
    assert len(sent.wait_for(1)) == 1


def test_a_failed_reminder_keeps_the_address_for_the_next_try(demo: SupportBox) -> None:
    fail_requests(demo.page, REMINDERS, 500)
    demo.not_ready.click()
    demo.email.fill("again@example.org")
    demo.remind.click()
    demo.expect_state("error")
    demo.back.click()
    expect(demo.email).to_have_value("again@example.org")
    fail_requests(demo.page, REMINDERS, 503)
    demo.remind.click()
    demo.retry.click()
    demo.expect_state("reminder-set")


def test_going_back_from_the_reminder_loses_nothing(demo: SupportBox) -> None:
    demo.choose("Once", "12.50")
    demo.not_ready.click()
    demo.back.click()
    expect(demo.once).to_be_checked()
    expect(demo.other_amount).to_have_value("12.50")
    expect(demo.continue_button).to_have_text("Continue – $12.50 once")

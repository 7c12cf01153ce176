"""Reminder requests in the box, from the form to the email and the reminder's page."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import BOTH_BROWSERS
from tests.browser.live_server import LiveServer
from tests.browser.network import REMINDERS, fail_requests, pause_requests, record_requests
from tests.browser.support_box import REMINDER_SET, SupportBox

# The link keeps the choice and names the reminder it came from.
PLEDGE_URL = re.compile(r"/support/default\?frequency=annual&amount=3000&from=[\w.-]+$")


def test_reminder_is_created_emailed_snoozed_and_cancelled(live_server: LiveServer, demo: SupportBox) -> None:
    page, email = demo.page, "patient.reader@example.org"
    demo.choose("Annual", "30")
    demo.not_ready.click()
    demo.email.fill(email)
    demo.remind.click()
    expect(demo.heading).to_have_text(REMINDER_SET)
    demo.expect_state("reminder-set")

    live_server.wait_for_emails(email)
    page.goto("/dev/outbox")
    page.get_by_role("link").filter(has_text=email).click()
    link = page.locator("pre").get_by_role("link").filter(has_text="/r/").get_attribute("href")
    assert link.startswith(f"{live_server.base_url}/r/")
    page.frame_locator("iframe").get_by_role("link", name=re.compile(r"\$30")).click()
    expect(page).to_have_url(PLEDGE_URL)
    expect(page.get_by_role("radio", name="Annual")).to_be_checked()
    expect(page.get_by_label("Other amount")).to_have_value("30")

    page.go_back()
    page.locator("pre").get_by_role("link").filter(has_text="/r/").click()
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("We’ve emailed you")
    page.get_by_role("link", name="Give $30 a year").click()
    expect(page).to_have_url(PLEDGE_URL)

    with live_server.paused_worker():
        page.goto(link)
        page.get_by_role("button", name="Remind me next month").click()
        expect(heading).to_have_text("We’ll remind you")
        page.get_by_role("button", name="Cancel the reminder").click()
        expect(heading).to_have_text("Your reminder is cancelled")
        expect(page.get_by_role("button", name="Cancel the reminder")).to_have_count(0)
        page.get_by_role("button", name="Remind me next month").click()
        expect(heading).to_have_text("We’ll remind you")
        page.get_by_role("button", name="Cancel the reminder").click()
        expect(heading).to_have_text("Your reminder is cancelled")
    # A cancelled reminder that is scheduled again is sent once more.
    page.get_by_role("button", name="Remind me next month").click()
    assert len(live_server.wait_for_emails(email, number=2)) == 2


def test_get_requests_do_not_change_the_reminder(live_server: LiveServer, page: Page, reminder_url: str) -> None:
    # The worker changes reminders too, so it is paused between the two queries.
    with live_server.paused_worker():
        before = live_server.query("SELECT status, due_at, occurrence FROM reminders ORDER BY id")
        for suffix in ("", "?lang=ru", "/cancel", "/snooze", "/confirm"):
            page.goto(reminder_url + suffix)
        assert live_server.query("SELECT status, due_at, occurrence FROM reminders ORDER BY id") == before


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("", "Enter your email address."),
        ("reader", "Enter an email address like name@example.org."),
        ("reader@example", None),
    ],
)
def test_invalid_address_shows_error_beside_its_field(
    live_server: LiveServer, demo: SupportBox, typed: str, message: str | None
) -> None:
    before = live_server.count("reminders")
    demo.not_ready.click()
    demo.email.fill(typed)
    demo.remind.click()
    demo.expect_state("invalid")
    expect(demo.email).to_be_focused()
    expect(demo.email).to_have_value(typed)
    # The last address passes the widget's check, so the service rejects it.
    expect(demo.error).to_have_text(message or re.compile("."))
    assert live_server.count("reminders") == before


@pytest.mark.parametrize("typed", ["josé@example.org", "leser@müller.example", "grüße@müller.example"])
def test_international_address_is_taken_by_the_box_and_by_the_page(
    live_server: LiveServer, demo: SupportBox, typed: str
) -> None:
    before = live_server.count("reminders")
    demo.not_ready.click()
    demo.email.fill(typed)
    demo.remind.click()
    demo.expect_state("reminder-set")
    assert live_server.count("reminders") == before + 1
    page = demo.page
    page.goto("/support/default?remind")
    page.get_by_label("Email address").fill(f"page-{typed}")
    page.get_by_role("button", name="Remind me next month").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(REMINDER_SET)
    assert live_server.count("reminders") == before + 2


NEAR_DAY = re.compile(
    r"We’ll email you once, around (January|February|March|April|May|June|July|August|September"
    r"|October|November|December)\s\d+\."
)


def test_form_and_plain_page_say_about_when_the_email_comes(demo: SupportBox) -> None:
    demo.not_ready.click()
    message = demo.host.locator(".box > [role=status]")
    expect(message).to_have_text(NEAR_DAY)
    said = message.text_content()
    demo.page.goto("/support/default?lang=en&remind=")
    expect(demo.page.locator("#remind")).to_contain_text(NEAR_DAY)
    assert said in demo.page.locator("#remind").text_content()


def test_wrong_address_can_be_changed_after_the_reminder_is_set(live_server: LiveServer, demo: SupportBox) -> None:
    before = live_server.count("reminders")
    with live_server.paused_worker():
        demo.not_ready.click()
        demo.email.fill("tpyo@example.org")
        demo.remind.click()
        demo.expect_state("reminder-set")
        demo.change_address.click()
        demo.expect_state("reminder-form")
        expect(demo.email).to_be_focused()
        expect(demo.email).to_have_value("tpyo@example.org")
        # The truth about the first one, which nobody may cancel by its address alone.
        expect(demo.host).to_contain_text("The reminder to tpyo@example.org is still set.")
        demo.email.fill("typo@example.org")
        demo.remind.click()
        demo.expect_state("reminder-set")
        assert live_server.count("reminders") == before + 2


def test_reminder_request_sends_minimal_data(demo: SupportBox) -> None:
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
        "page_title": "Seventy-one mornings without a ferry – The Harbour Lantern",
        "lang": "en",
    }
    assert "referer" not in request.all_headers()


@BOTH_BROWSERS
@pytest.mark.parametrize("press", ["double click", "double Enter", "Enter and click"])
def test_double_submit_sends_one_reminder_request(
    live_server: LiveServer, demo: SupportBox, browser_name: str, press: str
) -> None:
    sent, paused = record_requests(demo.page, "/v1/reminders"), pause_requests(demo.page, REMINDERS)
    before = live_server.count("reminders")
    demo.not_ready.click()
    demo.email.fill(f"{press.replace(' ', '.')}.{browser_name}@example.org")
    if press == "double click":
        demo.submit.dblclick()
    else:
        demo.email.press("Enter")
        demo.submit.press("Enter") if press == "double Enter" else demo.force_click(demo.submit)
    demo.expect_state("submitting")
    paused.resume()
    demo.expect_state("reminder-set")
    assert len(sent.wait_for(1)) == 1
    assert live_server.count("reminders") == before + 1


@BOTH_BROWSERS
def test_address_that_fires_only_change_counts(demo: SupportBox) -> None:
    demo.not_ready.click()
    demo.email.evaluate(
        "(input) => { input.value = 'filled@example.org'; input.dispatchEvent(new Event('change')) }"
    )
    demo.remind.click()
    demo.expect_state("reminder-set")


def test_failed_reminder_request_keeps_the_address(demo: SupportBox) -> None:
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


def test_back_from_reminder_form_keeps_the_pledge_choice(demo: SupportBox) -> None:
    demo.choose("Once", "12.50")
    demo.not_ready.click()
    demo.back.click()
    expect(demo.once).to_be_checked()
    expect(demo.other_amount).to_have_value("12.50")
    expect(demo.continue_button).to_have_text("Continue – $12.50 once")

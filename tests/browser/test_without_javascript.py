"""Without JavaScript: pledges, form errors, and the whole life of a reminder; in Chromium and in Firefox."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import BOTH_BROWSERS, NewPage
from tests.browser.live_server import LiveServer, pledge_id_from_url
from tests.browser.support_box import NOT_READY_BUTTON, REMIND_BUTTON, REMINDER_SET

pytestmark = BOTH_BROWSERS


@pytest.fixture
def page(new_page: NewPage) -> Page:
    return new_page(java_script_enabled=False)


@pytest.fixture
def support(page: Page) -> Page:
    """Return the support page, opened by the fallback link of the box."""
    page.goto("/demo")
    page.locator("support-box").get_by_role("link").click()
    expect(page).to_have_url(re.compile("/support/default"))
    return page


def test_pledge_with_plain_forms(live_server: LiveServer, support: Page) -> None:
    support.get_by_role("radio", name="Monthly").check()
    support.get_by_label("Other amount").fill("2")
    support.get_by_role("button", name="Continue").click()
    support.get_by_role("button", name="Pay $2 a month").click()
    expect(support.get_by_text("You’re now giving The Harbour Lantern $2 a month.")).to_be_visible()

    row = live_server.export()[pledge_id_from_url(support.url)]
    assert (row["status"], row["amount"], row["variant"]) == ("active", "2.00", "support-page")


def test_presets_follow_the_frequency(support: Page) -> None:
    support.get_by_role("radio", name="Annual").check()
    amounts = support.get_by_role("group", name="Amount")
    expect(amounts).to_have_count(1)
    amounts.get_by_role("radio", name="$100").check()
    support.get_by_role("button", name="Continue").click()
    expect(support.get_by_role("button", name="Pay $100 a year")).to_be_visible()


@pytest.mark.parametrize(("typed", "message"), [("1.000", "Enter at most 2 decimals"), ("$1.99", "$2")])
def test_form_error_keeps_the_input(live_server: LiveServer, support: Page, typed: str, message: str) -> None:
    before = live_server.count("pledges")
    support.get_by_role("radio", name="Annual").check()
    support.get_by_label("Other amount").fill(typed)
    support.get_by_role("button", name="Continue").click()
    field = support.get_by_label("Other amount")
    expect(field).to_have_value(typed)
    expect(field).to_have_accessible_description(re.compile(re.escape(message)))
    expect(support.get_by_role("radio", name="Annual")).to_be_checked()
    expect(support.get_by_role("alert")).to_contain_text(message)
    expect(support).to_have_title(re.compile("^Error: "))
    assert live_server.count("pledges") == before

    support.get_by_role("alert").get_by_role("link").click()
    expect(support).to_have_url(re.compile("#amount$"))
    field.fill("25")
    support.get_by_role("button", name="Continue").click()
    expect(support.get_by_role("button", name="Pay $25 a year")).to_be_visible()


def test_amount_in_another_notation_is_offered_as_a_button(live_server: LiveServer, support: Page) -> None:
    before = live_server.count("pledges")
    support.get_by_role("radio", name="Annual").check()
    support.get_by_label("Other amount").fill("25,50")
    support.get_by_role("button", name="Continue").click()
    expect(support.get_by_label("Other amount")).to_have_value("25,50")
    expect(support.get_by_role("alert")).to_contain_text("Did you mean $25.50?")
    assert live_server.count("pledges") == before
    support.get_by_role("button", name="Use $25.50").click()
    expect(support.get_by_role("button", name="Pay $25.50 a year")).to_be_visible()


def test_enter_sends_the_corrected_amount_and_not_the_suggestion(support: Page) -> None:
    support.get_by_role("radio", name="Annual").check()
    support.get_by_label("Other amount").fill("25,50")
    support.get_by_role("button", name="Continue").click()
    expect(support.get_by_role("button", name="Use $25.50")).to_be_visible()
    support.get_by_label("Other amount").fill("31")
    support.get_by_label("Other amount").press("Enter")
    expect(support.get_by_role("button", name="Pay $31 a year")).to_be_visible()


def test_double_click_creates_one_pledge(live_server: LiveServer, support: Page) -> None:
    before = live_server.count("pledges")
    support.get_by_role("button", name="Continue").dblclick()
    # The second request may come while the first is in progress; the page then asks to try again.
    pay = support.get_by_role("button", name="Pay $7 a month")
    expect(pay.or_(support.get_by_role("alert"))).to_be_visible()
    if not pay.is_visible():
        support.get_by_role("button", name="Continue").click()
    expect(pay).to_be_visible()
    assert live_server.count("pledges") - before == 1


def test_reminder_is_corrected_sent_and_cancelled(
    live_server: LiveServer, support: Page, browser_name: str
) -> None:
    email = f"no.script.{browser_name}@example.org"
    support.get_by_text(NOT_READY_BUTTON).click()
    support.get_by_label("Email address").fill("no.script")
    support.get_by_role("button", name=REMIND_BUTTON).click()
    field = support.get_by_label("Email address")
    expect(field).to_have_value("no.script")
    expect(field).to_have_accessible_description(re.compile("Enter an email address like"))

    field.fill(email)
    support.get_by_role("button", name=REMIND_BUTTON).click()
    expect(support.get_by_role("heading", level=1)).to_have_text(REMINDER_SET)
    assert "example" not in support.url

    support.goto(live_server.reminder_link_for(email))
    with live_server.paused_worker():
        support.get_by_role("button", name=REMIND_BUTTON).click()
        # The previous page has a cancel button too, so the test waits for the heading.
        expect(support.get_by_role("heading", level=1)).to_have_text("We’ll remind you")
        support.get_by_role("button", name="Cancel the reminder").click()
        expect(support.get_by_role("heading", level=1)).to_have_text("Your reminder is cancelled")

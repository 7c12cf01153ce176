"""Reminders after the request: confirmation by email, and cancelling a recurring reminder."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.accessibility import check_page
from tests.browser.host_site import HostSite
from tests.browser.live_server import LiveServer
from tests.browser.support_box import SupportBox


def test_unconfirmed_reminder_is_sent_only_after_confirmation(
    live_server: LiveServer, host_site: HostSite, page: Page, tmp_path: Path
) -> None:
    email = "careful@example.org"
    live_server.apply_campaign(tmp_path, slug="careful", reminder={"confirm": True})
    page.goto(host_site.show('campaign="careful"', is_strict=False))
    box = SupportBox(page)
    box.not_ready.click()
    box.email.fill(email)
    box.remind.click()
    expect(box.heading).to_have_text("Almost there!")
    expect(box.host.get_by_role("status")).to_contain_text("Please confirm in the email we’ve just sent you.")
    check_page(page, "confirmation requested")

    [email_path] = live_server.wait_for_emails(email)
    page.goto(email_path)
    page.frame_locator("iframe").get_by_role("link", name="Yes, remind me").click()
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("Confirm your reminder")
    check_page(page, "an unconfirmed reminder")
    page.reload()
    expect(heading).to_have_text("Confirm your reminder")
    assert live_server.emails_to(email) == [email_path]

    with live_server.paused_worker():
        page.get_by_role("button", name=re.compile("^Yes, remind me on ")).click()
        expect(heading).to_have_text("Your reminder is set")
        check_page(page, "a confirmed reminder")
    assert len(live_server.wait_for_emails(email, number=2)) == 2


def test_recurring_reminder_is_cancelled_on_its_page(
    live_server: LiveServer, host_site: HostSite, page: Page, tmp_path: Path
) -> None:
    email = "faithful@example.org"
    live_server.apply_campaign(tmp_path, slug="steady", reminder={"repeats": [1]})
    page.goto(host_site.show('campaign="steady"'))
    box = SupportBox(page)
    box.not_ready.click()
    box.email.fill(email)
    box.when.select_option("Every month, until I cancel")
    box.submit.click()
    box.expect_state("reminder-set")
    live_server.wait_for_emails(email, number=2)
    reminder_url = live_server.reminder_link_for(email)

    heading = page.get_by_role("heading", level=1)
    with live_server.paused_worker():
        page.goto(reminder_url)
        expect(heading).to_have_text("We’ll remind you")
        expect(page.get_by_role("main")).to_contain_text("and then every month until you cancel.")
        check_page(page, "a recurring reminder")
        page.get_by_role("button", name="Cancel this reminder and all that follow").click()
        expect(heading).to_have_text("Your reminder is cancelled")
        sent_emails = live_server.emails_to(email)
    # An email for a later reminder shows that the cancelled one is not coming.
    live_server.create_reminder("later.reader@example.org")
    live_server.wait_for_emails("later.reader@example.org")
    assert live_server.emails_to(email) == sent_emails

"""What comes after a reminder was asked for: confirming it by mail, and ending one that comes again and again."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.accessibility import check_page
from tests.browser.host_site import HostSite
from tests.browser.live_server import LiveServer
from tests.browser.support_box import SupportBox


def test_a_reminder_that_needs_a_yes_comes_only_after_it(
    live_server: LiveServer, host_site: HostSite, page: Page, tmp_path: Path
) -> None:
    address = "careful@example.org"
    live_server.offer(tmp_path, slug="careful", reminder={"confirm": True})
    page.goto(host_site.show('campaign="careful"', is_strict=False))
    box = SupportBox(page)
    box.not_ready.click()
    box.email.fill(address)
    box.remind.click()
    expect(box.heading).to_have_text("Almost there!")
    expect(box.host.get_by_role("status")).to_contain_text(
        "Please confirm in the mail that we have just sent you."
    )
    check_page(page, "almost there")

    [mail] = live_server.wait_for_mails(address)
    page.goto(mail)
    page.frame_locator("iframe").get_by_role("link", name="Yes, remind me").click()
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("Shall we remind you?")
    check_page(page, "a reminder that waits for a yes")
    page.reload()
    expect(heading).to_have_text("Shall we remind you?")
    assert live_server.mails_to(address) == [mail]

    with live_server.paused_worker():
        page.get_by_role("button", name=re.compile("^Yes, remind me on ")).click()
        expect(heading).to_have_text("Your reminder is set")
        check_page(page, "a confirmed reminder")
    assert len(live_server.wait_for_mails(address, number=2)) == 2


def test_a_reminder_that_comes_again_ends_on_its_own_page(
    live_server: LiveServer, host_site: HostSite, page: Page, tmp_path: Path
) -> None:
    address = "faithful@example.org"
    live_server.offer(tmp_path, slug="steady", reminder={"repeats": [1]})
    page.goto(host_site.show('campaign="steady"'))
    box = SupportBox(page)
    box.not_ready.click()
    box.email.fill(address)
    box.when.select_option("Every month, until I cancel")
    box.submit.click()
    box.expect_state("reminder-set")
    live_server.wait_for_mails(address, number=2)
    own_page = live_server.link_in_mail_to(address)

    heading = page.get_by_role("heading", level=1)
    with live_server.paused_worker():
        page.goto(own_page)
        expect(heading).to_have_text("We will remind you")
        expect(page.get_by_role("main")).to_contain_text("every month, until you cancel")
        check_page(page, "a reminder that comes again")
        page.get_by_role("button", name="Cancel this reminder and all that follow").click()
        expect(heading).to_have_text("Your reminder is cancelled")
        written = live_server.mails_to(address)
    # Whoever asks now is written to later than the next one would have been.
    live_server.remind("whoever.is.next@example.org")
    live_server.wait_for_mails("whoever.is.next@example.org")
    assert live_server.mails_to(address) == written

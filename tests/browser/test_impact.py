"""The box says what the chosen preset pays for, and screen readers announce it when the choice changes."""

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import BOTH_BROWSERS
from tests.browser.host_site import HostSite
from tests.browser.live_server import LiveServer
from tests.browser.support_box import SupportBox

pytestmark = BOTH_BROWSERS
IMPACT = {"monthly": {700: "$7 pays for one records request", 1500: "$15 pays for a day in court"}}


def test_line_follows_the_chosen_preset(
    host_site: HostSite, live_server: LiveServer, page: Page, tmp_path: Path
) -> None:
    live_server.apply_campaign(tmp_path, slug="impact", impact=IMPACT)
    page.goto(host_site.show('campaign="impact"'))
    box = SupportBox(page)
    expect(box.status_message).to_have_text("$7 pays for one records request")
    box.presets.nth(2).check()
    expect(box.status_message).to_have_text("$15 pays for a day in court")
    box.presets.nth(0).check()
    expect(box.status_message).to_be_empty()
    box.presets.nth(1).check()
    box.other_amount.fill("8")
    expect(box.status_message).to_be_empty()
    box.other_amount.fill("")
    expect(box.status_message).to_have_text("$7 pays for one records request")
    box.once.check()
    expect(box.status_message).to_be_empty()


def test_plain_page_shows_the_line_of_the_chosen_preset(
    live_server: LiveServer, page: Page, tmp_path: Path
) -> None:
    live_server.apply_campaign(tmp_path, slug="impact", impact=IMPACT)
    page.goto("/support/impact")
    first, second = (page.locator(f"#impact-monthly-{amount}") for amount in (700, 1500))
    expect(first).to_be_visible()
    expect(second).to_be_hidden()
    page.get_by_role("radio", name="$15", exact=True).check()
    expect(first).to_be_hidden()
    expect(second).to_have_text("$15 pays for a day in court")
    expect(page.get_by_role("radio", name="$15", exact=True)).to_have_accessible_description(
        "$15 pays for a day in court"
    )

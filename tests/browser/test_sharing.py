"""The thank-you page and error pages: sharing and copying, with scripts and without, and a monthly donation."""

import re
import uuid

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import NewPage
from tests.browser.live_server import LiveServer

SHARE = """
window.shared = [];
navigator.share = async (data) => { window.shared.push(data); };
"""


def give(page: Page, live_server: LiveServer, **changes: object) -> None:
    """Give as a reader of the demo's article, and come to the thank-you page."""
    page_url = f"{live_server.base_url}/demo"
    page.goto(live_server.create_pledge(str(uuid.uuid4()), page_url=page_url, **changes)["checkout_url"])
    page.get_by_role("textbox").fill("sharing@example.org")
    page.locator("[value=pay]").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Thank you for your support")


def test_link_is_copied(live_server: LiveServer, new_page: NewPage) -> None:
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    give(page, live_server)
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("status").filter(has_text="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == f"{live_server.base_url}/demo"


def test_browser_that_can_share_does(live_server: LiveServer, page: Page) -> None:
    page.add_init_script(SHARE)
    give(page, live_server)
    expect(page.get_by_role("link", name="Share by email")).to_be_hidden()
    page.get_by_role("button", name="Share").click()
    [shared] = page.evaluate("window.shared")
    assert shared["url"] == f"{live_server.base_url}/demo"
    assert "The Harbour Lantern" in shared["text"]


def test_browser_that_cannot_share_writes_an_email(live_server: LiveServer, page: Page) -> None:
    page.add_init_script("delete Navigator.prototype.share;")
    give(page, live_server)
    expect(page.get_by_role("button", name="Share")).to_be_hidden()
    link = page.get_by_role("link", name="Share by email")
    expect(link).to_have_attribute("href", re.compile("^mailto:"))


def test_everything_works_without_scripts(live_server: LiveServer, new_page: NewPage) -> None:
    page = new_page(java_script_enabled=False)
    give(page, live_server, frequency="once", amount=1500)
    expect(page.get_by_text(re.compile("receipt.* s…@example.org", re.IGNORECASE))).to_be_visible()
    expect(page.get_by_role("button", name="Copy link")).to_be_hidden()
    expect(page.get_by_role("link", name="Share by email")).to_be_visible()
    page.get_by_role("button", name="Give $15 a month").click()
    expect(page.get_by_role("button", name="Pay $15 a month")).to_be_visible()
    page.get_by_role("link", name="Go back without paying").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You haven’t been charged")
    page.get_by_role("link", name="Back to where you were").click()
    expect(page).to_have_url(re.compile("/demo$"))


@pytest.mark.parametrize("scripts", [True, False])
def test_reference_of_an_error_can_be_copied(
    new_page: NewPage, expected_console_errors: list[str], scripts: bool
) -> None:
    expected_console_errors.append("404")
    page = new_page(java_script_enabled=scripts, permissions=["clipboard-read", "clipboard-write"])
    page.goto("/no-such-page")
    reference = page.locator("code").inner_text()
    assert re.fullmatch(r"[0-9a-f]{8}", reference)
    copy = page.get_by_role("button", name="Copy")
    if not scripts:
        expect(copy).to_be_hidden()
        return
    copy.click()
    expect(page.get_by_role("status").filter(has_text="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == reference

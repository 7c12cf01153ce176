"""A box in a frame leaves it for the checkout, which refuses to be framed; in Chromium and in Firefox."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import BOTH_BROWSERS
from tests.browser.host_site import HostSite

pytestmark = BOTH_BROWSERS
FRAMING = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Framing</title></head>
<body><iframe title="Support" src="{url}" width="600" height="800" {attributes}></iframe></body></html>"""
SANDBOX = 'sandbox="allow-scripts allow-same-origin allow-forms {more}"'
CHECKOUT = "**/sandbox/**"


def show_framed(page: Page, framing: HostSite, framed: HostSite, attributes: str = "", box_attributes: str = ""):
    """Open a page that frames an article with a box; return the frame's locator."""
    url = framed.show(box_attributes)
    framing.show(is_strict=False)
    framing.html = FRAMING.format(url=url, attributes=attributes)
    page.goto(f"{framing.base_url}/")
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("button", name="Continue")).to_be_visible()
    return frame


@pytest.mark.parametrize("attributes", ["", SANDBOX.format(more="allow-top-navigation")])
def test_framed_box_leaves_through_the_top_window(
    attributes: str, page: Page, framing_site: HostSite, host_site: HostSite
) -> None:
    frame = show_framed(page, framing_site, host_site, attributes)
    frame.get_by_role("button", name="Continue").click()
    page.wait_for_url(CHECKOUT)
    expect(page.get_by_role("heading").first).to_be_visible()


def test_sandboxed_box_opens_the_checkout_in_a_new_tab(
    page: Page, framing_site: HostSite, host_site: HostSite, expected_console_errors: list[str]
) -> None:
    expected_console_errors.append("Unsafe attempt to initiate navigation")
    sandbox = SANDBOX.format(more="allow-popups allow-popups-to-escape-sandbox")
    frame = show_framed(page, framing_site, host_site, sandbox)
    with page.context.expect_page() as opened:
        frame.get_by_role("button", name="Continue").click()
    opened.value.wait_for_url(CHECKOUT)
    assert page.url.startswith(framing_site.base_url)
    # The reader may have closed the tab, so the way there stays.
    with page.context.expect_page() as opened_again:
        frame.get_by_role("link", name="Continue").click()
    opened_again.value.wait_for_url(CHECKOUT)
    # A reader who has paid in that tab may give again; the same pledge would lead to the checkout that is over.
    opened_again.value.get_by_role("button", name="Pay").click()
    opened_again.value.wait_for_url("**/thank-you**")
    frame.get_by_role("button", name="Back").click()
    with page.context.expect_page() as opened_once_more:
        frame.get_by_role("button", name="Continue").click()
    expect(opened_once_more.value.get_by_role("button", name="Pay")).to_be_visible()


def test_box_that_may_leave_nowhere_shows_the_link_to_the_checkout(
    page: Page, framing_site: HostSite, host_site: HostSite, expected_console_errors: list[str]
) -> None:
    expected_console_errors += ["Unsafe attempt to initiate navigation", "Blocked opening"]
    frame = show_framed(page, framing_site, host_site, SANDBOX.format(more=""))
    frame.get_by_role("button", name="Continue").click()
    expect(frame.get_by_role("link", name="Continue")).to_have_attribute(
        "href", re.compile(re.escape(f"{host_site.mainstay}/sandbox/"))
    )
    assert page.url.startswith(framing_site.base_url)


def test_box_of_a_frame_without_an_origin_of_its_own_works(
    page: Page, framing_site: HostSite, host_site: HostSite
) -> None:
    # Such a frame may not store anything, and the browser throws an exception if it tries.
    sandbox = 'sandbox="allow-scripts allow-forms allow-top-navigation"'
    frame = show_framed(page, framing_site, host_site, sandbox, 'storage="local" amount="1200"')
    frame.get_by_role("button", name="Close").click()
    frame.get_by_role("button", name="Undo").click()
    frame.get_by_role("button", name="Continue – $12 a month").click()
    page.wait_for_url(CHECKOUT)

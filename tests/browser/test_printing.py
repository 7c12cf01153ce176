"""A printed article: without what stands above it."""

from playwright.sync_api import Page, expect

from tests.browser.host_site import HostSite
from tests.browser.support_box import SupportBox


def test_banner_is_not_printed(host_site: HostSite, page: Page) -> None:
    page.goto(host_site.show('placement="banner"'))
    box = SupportBox(page)
    expect(box.expand).to_be_visible()
    page.emulate_media(media="print")
    expect(box.frame).to_be_hidden()


def test_dialog_is_not_printed(host_site: HostSite, page: Page) -> None:
    page.goto(host_site.show('placement="dialog"'))
    box = SupportBox(page)
    box.host.evaluate("(box) => box.open()")
    expect(box.dialog).to_be_visible()
    page.emulate_media(media="print")
    expect(box.frame).to_be_hidden()
    expect(page.locator("h1")).to_be_visible()

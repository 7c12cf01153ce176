"""A closed campaign: its box and its page say so in plain words, and offer no form."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import check_page
from tests.browser.live_server import LiveServer
from tests.browser.support_box import SupportBox

HEADING = "isn’t taking donations right now"


@pytest.fixture
def closed(live_server: LiveServer) -> Iterator[None]:
    live_server.run_command("campaign", "close", "default", "--waiting", "keep")
    yield
    live_server.run_command("campaign", "reopen", "default", "--late", "send")


@pytest.mark.usefixtures("closed")
def test_box_of_a_closed_campaign_says_so_without_a_form(page: Page) -> None:
    page.goto("/demo")
    box = SupportBox(page)
    expect(box.heading).to_contain_text(HEADING)
    expect(box.host.get_by_text("Thank you for wanting to help.")).to_be_visible()
    expect(box.continue_button).to_have_count(0)
    expect(box.not_ready).to_have_count(0)
    expect(box.close).to_be_visible()
    check_page(page, "closed")


@pytest.mark.usefixtures("closed")
@pytest.mark.parametrize("lang", ["en", "ru"])
def test_support_page_of_a_closed_campaign_has_no_form(page: Page, lang: str) -> None:
    page.goto(f"/support/default?lang={lang}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(HEADING if lang == "en" else "не принимаем")
    expect(page.locator("form")).to_have_count(0)
    check_page(page, "closed")


def test_reopened_campaign_takes_support_again(live_server: LiveServer, page: Page) -> None:
    live_server.run_command("campaign", "close", "default", "--waiting", "keep")
    live_server.run_command("campaign", "reopen", "default", "--late", "send")
    page.goto("/demo")
    expect(SupportBox(page).continue_button).to_be_visible()

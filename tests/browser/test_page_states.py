"""The accessibility of every page in every state."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import WIDTHS, check_page
from tests.browser.conftest import NewPage
from tests.browser.live_server import LiveServer
from tests.browser.page_states import STATES, Visit, heading_pattern


@pytest.mark.parametrize("lang", WIDTHS)
@pytest.mark.parametrize(("open_state", "heading"), STATES, ids=[open_state.__name__ for open_state, _ in STATES])
def test_page_state_is_accessible(
    live_server: LiveServer,
    new_page: NewPage,
    reminder_url: str,
    open_state: Callable[[Visit], None],
    heading: str | None,
    lang: str,
) -> None:
    page = new_page(locale=lang)
    with live_server.paused_worker():
        open_state(Visit(page, live_server, reminder_url, lang))
        if heading is not None:
            expect(page.get_by_role("heading", level=1)).to_have_text(heading_pattern(heading, lang))
            expect(page.locator("html")).to_have_attribute("dir", "rtl" if lang == "ar" else "ltr")
        check_page(page, open_state.__name__, widths=WIDTHS[lang])


def test_empty_outbox_is_accessible(live_server: LiveServer, page: Page) -> None:
    with live_server.paused_worker(), live_server.clear_outbox():
        page.goto("/dev/outbox")
        expect(page.locator("main")).not_to_have_text("")
        expect(page.locator("main a[href^='/dev/outbox/']")).to_have_count(0)
        check_page(page, "empty outbox")


def test_email_html_is_accessible(live_server: LiveServer, new_page: NewPage, reminder_url: str) -> None:
    [email_path] = live_server.emails_to("subscriber@example.org")[-1:]
    page = new_page(bypass_csp=True)
    # The outbox shows the email in a frame without scripts, so axe-core needs it in a page of its own.
    page.set_content(live_server.get_html(f"{email_path}/html"))
    # Landmarks and a level-one heading belong to the email client.
    check_page(page, "email", ignored_rules=("region", "landmark-one-main", "page-has-heading-one"))

"""The line of the box for readers who support the newsroom already."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.host_site import HostSite
from tests.browser.live_server import LiveServer
from tests.browser.support_box import SupportBox


@pytest.mark.parametrize(("lang", "name"), [("en", "Manage your support"), ("ru", "Управлять поддержкой")])
def test_supporter_gets_to_the_account_from_the_box(
    live_server: LiveServer, host_site: HostSite, page: Page, lang: str, name: str
) -> None:
    article = host_site.show(lang=lang)
    page.goto(article)
    box = SupportBox(page)
    box.expect_state("form")
    link = box.host.get_by_role("link", name=name)
    assert link.evaluate("link => getComputedStyle(link).fontSize") == "14px"
    with page.expect_popup() as popup:
        link.click()
    expect(popup.value).to_have_url(f"{live_server.base_url}/me?lang={lang}")
    expect(popup.value.locator("html")).to_have_attribute("lang", lang)
    # The article stays open.
    assert page.url == article


def test_line_is_shown_only_beside_the_choice_of_an_amount(demo: SupportBox) -> None:
    expect(demo.manage).to_be_visible()
    demo.not_ready.click()
    demo.expect_state("reminder-form")
    expect(demo.manage).to_have_count(0)


def test_answer_of_an_older_service_has_no_line(page: Page) -> None:
    def drop_link(route) -> None:
        response = route.fetch()
        campaign = response.json()
        del campaign["manage_url"]
        route.fulfill(response=response, json=campaign)

    page.route("**/v1/campaigns/*", drop_link)
    page.goto("/demo")
    box = SupportBox(page)
    box.expect_state("form")
    expect(box.manage).to_have_count(0)

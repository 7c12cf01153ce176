"""The snippet with a pinned script, whose hash the browser checks (W3C, Subresource Integrity)."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.host_site import HostSite
from tests.browser.live_server import LiveServer
from tests.browser.support_box import SupportBox

MODULE = '<script type="module" src="{base}/widget/v1.js"></script>'
SNIPPET = re.compile(r"(<script .*</script>)\n\n(<support-box .*</support-box>)\n", re.DOTALL)


def show_snippet(live_server: LiveServer, host_site: HostSite, snippet: str) -> str:
    """Put the snippet of the command on a page of another site; return the page's URL."""
    script, element = SNIPPET.fullmatch(snippet).groups()
    url = host_site.show()
    host_site.html = host_site.html.replace(MODULE.format(base=live_server.base_url), script)
    host_site.html = re.sub(r"<support-box.*</support-box>", lambda _: element, host_site.html)
    assert script in host_site.html
    return url


def test_box_of_the_snippet_works_on_another_site(
    live_server: LiveServer, host_site: HostSite, page: Page
) -> None:
    snippet = live_server.run_command("campaign", "snippet", "default")
    assert "integrity=" in snippet
    page.goto(show_snippet(live_server, host_site, snippet))
    box = SupportBox(page)
    box.expect_state("form")
    box.not_ready.click()
    box.expect_state("reminder-form")
    box.back.click()
    box.continue_button.click()
    expect(page).to_have_url(re.compile("/sandbox/checkout/"))


@pytest.mark.parametrize("change", ["hash", "content"])
def test_browser_refuses_a_script_that_differs(
    live_server: LiveServer, host_site: HostSite, page: Page, expected_console_errors: list[str], change: str
) -> None:
    expected_console_errors.append("integrity")
    snippet = live_server.run_command("campaign", "snippet", "default")
    if change == "hash":
        snippet = re.sub(r"sha384-....", "sha384-AAAA", snippet)
    else:
        headers = {"Access-Control-Allow-Origin": "*"}
        page.route(
            "**/widget/1/*.js",
            lambda route: route.fulfill(body="alert(1)", content_type="text/javascript", headers=headers),
        )
    page.goto(show_snippet(live_server, host_site, snippet))
    # The newsroom's own link is what readers see.
    expect(page.locator("support-box > a")).to_be_visible()
    assert page.evaluate("customElements.get('support-box') === undefined")


def test_unpinned_snippet_loads_the_current_script(
    live_server: LiveServer, host_site: HostSite, page: Page
) -> None:
    snippet = live_server.run_command("campaign", "snippet", "default", "--unpinned")
    page.goto(show_snippet(live_server, host_site, snippet))
    SupportBox(page).expect_state("form")

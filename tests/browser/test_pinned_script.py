"""The snippet with a pinned script, whose hash the browser checks (W3C, Subresource Integrity)."""

import base64
import hashlib
import re
import uuid
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from service.pages import static_files
from tests.browser.conftest import BOTH_BROWSERS
from tests.browser.host_site import HostSite
from tests.browser.live_server import LiveServer
from tests.browser.support_box import SupportBox

MODULE = '<script type="module" src="{base}/widget/v1.js"></script>'
BOX = '<support-box campaign="default"><a href="#">Support us</a></support-box>'
RELEASED = sorted((static_files.FOLDER / static_files.RELEASED).iterdir())
SNIPPET = re.compile(r"(<script .*</script>)\n\n(<support-box .*</support-box>)\n", re.DOTALL)


def show_snippet(live_server: LiveServer, host_site: HostSite, snippet: str) -> str:
    """Put the snippet of the command on a page of another site; return the page's URL."""
    script, element = SNIPPET.fullmatch(snippet).groups()
    url = host_site.show()
    host_site.html = host_site.html.replace(MODULE.format(base=live_server.base_url), script)
    host_site.html = re.sub(r"<support-box.*</support-box>", lambda _: element, host_site.html)
    assert script in host_site.html
    return url


@BOTH_BROWSERS
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


@BOTH_BROWSERS
@pytest.mark.parametrize("build", RELEASED, ids=lambda build: build.stem)
def test_build_that_was_pinned_before_an_upgrade_runs_with_the_service_of_today(
    live_server: LiveServer, host_site: HostSite, page: Page, build: Path
) -> None:
    digest = base64.b64encode(hashlib.sha384(build.read_bytes()).digest()).decode()
    src = f"{live_server.base_url}/widget/1/{build.stem}.js"
    script = f'<script type="module" src="{src}" integrity="sha384-{digest}" crossorigin></script>'
    before = live_server.count("reminders")
    page.goto(show_snippet(live_server, host_site, f"{script}\n\n{BOX}\n"))
    box = SupportBox(page)
    box.expect_state("form")
    # The part's hash is that of its time, and the part is today's.
    with page.expect_response("**/widget/reminder-1.js*") as response:
        box.not_ready.click()
    assert response.value.body() == (static_files.FOLDER / "reminder-1.js").read_bytes()
    box.expect_state("reminder-form")
    box.email.fill(f"{uuid.uuid4()}@example.org")
    box.submit.click()
    box.expect_state("reminder-set")
    assert live_server.count("reminders") == before + 1
    page.reload()
    box.expect_state("form")
    box.choose("Annual", "30")
    box.continue_button.click()
    expect(page.get_by_role("button", name="Pay $30 a year")).to_be_visible()


@BOTH_BROWSERS
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

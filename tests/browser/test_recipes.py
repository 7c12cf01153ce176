"""The recipes, as the gallery shows them, on pages such as each product makes; in Chromium and in Firefox."""

import html
import os
import re
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import BOTH_BROWSERS
from tests.browser.host_site import HostSite
from tests.browser.live_server import LiveServer
from tests.browser.network import PLEDGES, RecordedRequests, pause_requests
from tests.browser.support_box import SupportBox
from tests.processes import ROOT

pytestmark = BOTH_BROWSERS
FindSnippet = Callable[[str], str]
CHECKOUT = "**/sandbox/**"
BODY = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Recipe</title></head>
<body class="{name}"><main><article class="gh-article post"><h1>The ferry did not sail</h1></article></main>
{snippet}
</body>
</html>
"""


@pytest.fixture(scope="module")
def find_snippet(live_server: LiveServer) -> FindSnippet:
    """Return a function that returns what the gallery shows for a recipe, with the address of this service."""
    with urllib.request.urlopen(f"{live_server.base_url}/demo/widgets") as response:
        gallery = response.read().decode()

    def find(recipe: str) -> str:
        match = re.search(rf'id="recipe-{recipe}">.*?<code>(.*?)</code>', gallery, re.DOTALL)
        assert match, recipe
        return html.unescape(match[1])

    return find


def show_page(site: HostSite, page: Page, snippet: str, name: str = "post-template tag-news") -> SupportBox:
    """Open a page with this snippet at its end; return the box."""
    url = site.show(is_strict=False)
    site.html = BODY.format(name=name, snippet=snippet)
    page.goto(url)
    return SupportBox(page)


def check_box(box: SupportBox) -> None:
    """Go through the box: the reminder's form and back, and on to the checkout."""
    box.expect_state("form")
    box.not_ready.click()
    box.expect_state("reminder-form")
    box.back.click()
    box.choose("Once", "3")
    expect(box.submit).to_have_text("Continue – $3 once")
    box.submit.click()
    box.page.wait_for_url(CHECKOUT)


def test_static_page(host_site: HostSite, page: Page, find_snippet: FindSnippet) -> None:
    box = show_page(host_site, page, find_snippet("static-page"))
    expect(box.link).to_have_attribute("href", f"{host_site.mainstay}/support/default")
    check_box(box)


def render_wordpress(snippet: str, folder: Path, kind: str) -> str:
    """Return what a theme with this code prints for a page: `post` or `front`."""
    functions = folder / "functions.php"
    functions.write_text(f"<?php\n{snippet}\n")
    command = ["php", "-d", "display_errors=stderr", ROOT / "tests" / "browser" / "wordpress.php", functions, kind]
    printed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (printed.returncode, printed.stderr) == (0, "")
    return printed.stdout


def test_wordpress(host_site: HostSite, page: Page, find_snippet: FindSnippet, tmp_path: Path) -> None:
    snippet = find_snippet("wordpress")
    front = render_wordpress(snippet, tmp_path, "front")
    assert "The ferry" in front
    assert not re.search("support-box|<script", front)
    url = host_site.show(is_strict=False)
    host_site.html = render_wordpress(snippet, tmp_path, "post")
    page.goto(url)
    box = SupportBox(page)
    expect(page.locator("article > p + support-box")).to_have_attribute("variant", "post")
    expect(box.link).to_have_attribute("href", f"{host_site.mainstay}/support/default")
    check_box(box)


def test_ghost(host_site: HostSite, page: Page, find_snippet: FindSnippet) -> None:
    # A theme may use the same names.
    snippet = "<script>const article = document.body, box = article, link = box;</script>" + find_snippet("ghost")
    expect(show_page(host_site, page, snippet, name="home-template").host).to_have_count(0)
    page.route("**/widget/v1.js", lambda route: route.abort())
    expect(show_page(host_site, page, snippet).link).to_be_visible()
    page.unroute("**/widget/v1.js")
    box = show_page(host_site, page, snippet)
    expect(page.locator("article support-box")).to_have_attribute("variant", "ghost")
    expect(box.link).to_have_attribute("href", f"{host_site.mainstay}/support/default")
    check_box(box)


def test_frame(host_site: HostSite, framing_site: HostSite, page: Page, find_snippet: FindSnippet) -> None:
    framed = f"{host_site.show(is_strict=False)}/support-box.html"
    host_site.html = BODY.format(name="", snippet=find_snippet("static-page"))
    snippet = find_snippet("iframe")
    assert "https://paper.example/support-box.html" in snippet
    show_page(framing_site, page, snippet.replace("https://paper.example/support-box.html", framed))
    frame = page.frame_locator("iframe")
    frame.get_by_role("radio", name="Once").check()
    frame.get_by_role("button", name="Continue").click()
    page.wait_for_url(CHECKOUT)


def test_strict_policy(host_site: HostSite, page: Page, find_snippet: FindSnippet) -> None:
    name, _, policy = find_snippet("csp").partition(":")
    assert name == "Content-Security-Policy"
    url = host_site.show('amount="1200"')
    host_site.policy = " ".join(policy.split())
    response = page.goto(url)
    assert response.header_value(name) == host_site.policy
    # The fixture fails the test on any error in the console.
    check_box(SupportBox(page))


def test_tag_manager(host_site: HostSite, page: Page, find_snippet: FindSnippet) -> None:
    pushed: RecordedRequests[dict] = RecordedRequests(page)
    page.expose_function("record", lambda item: pushed.append(item))
    scripts = (
        f"<script>window.dataLayer = {{ push: record }};</script><script>{find_snippet('tag-manager')}</script>"
    )
    check_box(show_page(host_site, page, find_snippet("static-page") + scripts))
    assert pushed.wait_for(1) == [{"event": "begin_checkout", "value": 3, "currency": "USD", "frequency": "once"}]


@pytest.fixture(scope="module")
def react_app(find_snippet: FindSnippet, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return an app that uses the recipe for React, as one script."""
    recipe = tmp_path_factory.mktemp("react") / "SupportBox.jsx"
    recipe.write_text(find_snippet("react"))
    node = os.environ.get("PLAYWRIGHT_NODEJS_PATH", "node")
    command = [node, ROOT / "widget" / "test" / "react" / "bundle.mjs", recipe]
    bundle = subprocess.run(command, capture_output=True, text=True, check=False)
    assert bundle.returncode == 0, bundle.stderr
    return f'<script type="module">{bundle.stdout}</script>'


@pytest.fixture
def pledged(page: Page) -> RecordedRequests[dict]:
    """Return a list that records what the app gets from the box."""
    pledged: RecordedRequests[dict] = RecordedRequests(page)
    page.expose_function("reportPledged", lambda detail: pledged.append(detail))
    return pledged


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_react_renders_again(
    host_site: HostSite, page: Page, react_app: str, pledged: RecordedRequests[dict], live_server: LiveServer
) -> None:
    before = live_server.count("pledges")
    box = show_page(host_site, page, react_app)
    # Attributes of each kind: a string, a number and a boolean.
    expect(box.submit).to_have_text("Continue – $12 a month")
    expect(box.host.locator("[part=body] > [part=message]").first).to_be_hidden()
    expect(box.frame).to_have_css("color-scheme", "light")
    box.choose("Once", "3")
    press(page, "Render again")
    expect(page.get_by_text("Rendered 2 times")).to_be_visible()
    expect(box.submit).to_have_text("Continue – $3 once")
    press(page, "Dark")
    expect(box.frame).to_have_css("color-scheme", "dark")
    expect(box.submit).to_have_text("Continue – $3 once")
    box.submit.click()
    page.wait_for_url(CHECKOUT)
    # Once, though StrictMode mounts twice, and by the latest function.
    [detail] = pledged.wait_for(1)
    assert (detail["amount"], detail["frequency"], detail["variant"], detail["renders"]) == (
        300,
        "once",
        "react",
        2,
    )
    assert live_server.count("pledges") == before + 1


def test_react_unmounts(host_site: HostSite, page: Page, react_app: str, pledged: RecordedRequests[dict]) -> None:
    paused = pause_requests(page, PLEDGES)
    box = show_page(host_site, page, react_app)
    box.expect_state("form")
    box.submit.click()
    paused.wait_for_request()
    box.expect_state("submitting")
    press(page, "Show or hide")
    expect(box.host).to_have_count(0)
    paused.resume()
    page.wait_for_timeout(500)
    assert (page.url.startswith(host_site.base_url), pledged) == (True, [])
    press(page, "Show or hide")
    box.expect_state("form")
    expect(box.submit).to_have_text("Continue – $12 a month")
    box.submit.click()
    paused.resume()
    page.wait_for_url(CHECKOUT)
    assert len(pledged.wait_for(1)) == 1

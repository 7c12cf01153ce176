"""A page with the scripts of two Mainstay hosts: each gets the pledges of its own boxes and of no others."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import BOTH_BROWSERS
from tests.browser.host_site import HostSite
from tests.browser.live_server import LiveServer, run_live_server
from tests.browser.network import RecordedRequests
from tests.browser.support_box import NOT_READY_BUTTON, SupportBox

pytestmark = BOTH_BROWSERS
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Two papers</title>
{scripts}
</head><body>{boxes}</body></html>"""
WARNING = "Set api"


@pytest.fixture(scope="module")
def other_server(worker_id: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with run_live_server(f"mainstay_other_{worker_id}", tmp_path_factory.mktemp("other_server")) as other_server:
        yield other_server


def show(page: Page, site: HostSite, scripts: list[LiveServer], *attributes: str) -> None:
    """Open a page with these scripts, and one box with each of these attributes."""
    site.show(is_strict=False)
    site.html = PAGE.format(
        scripts="".join(
            f'<script type="module" src="{server.base_url}/widget/v1.js"></script>' for server in scripts
        ),
        boxes="".join(
            f'<support-box id="box{number}" {text}><a href="#link{number}">Support us</a></support-box>'
            for number, text in enumerate(attributes)
        ),
    )
    page.goto(f"{site.base_url}/article")


def box_number(page: Page, number: int) -> SupportBox:
    """Return one of the page's boxes."""
    box = SupportBox(page)
    box.host = page.locator(f"#box{number}")
    box.frame = box.host.locator(".box")
    box.continue_button = box.host.get_by_role("button", name="Continue")
    return box


def expect_link_only(page: Page, number: int) -> None:
    """Wait until a box shows the newsroom's own link and no form."""
    expect(page.locator(f"#box{number} a")).to_be_visible()
    expect(page.locator(f"#box{number}").get_by_role("radio")).to_have_count(0)


def record_warnings(page: Page) -> RecordedRequests[str]:
    warnings: RecordedRequests[str] = RecordedRequests(page)
    page.on("console", lambda message: warnings.append(message.text) if message.type == "warning" else None)
    return warnings


def pledge(box: SupportBox) -> None:
    box.expect_state("form")
    box.continue_button.click()
    box.page.wait_for_url("**/sandbox/**")


@pytest.mark.parametrize("suffix", ["", "/", "/support"])
def test_each_box_pledges_at_the_host_that_it_names(
    suffix: str, page: Page, host_site: HostSite, live_server: LiveServer, other_server: LiveServer
) -> None:
    before = live_server.count("pledges"), other_server.count("pledges")
    named = f'api="{other_server.base_url.upper()}{suffix}"'
    show(page, host_site, [live_server, other_server], "", named)
    box_number(page, 0).expect_state("form")
    pledge(box_number(page, 1))
    assert page.url.startswith(other_server.base_url)
    assert (live_server.count("pledges"), other_server.count("pledges")) == (before[0], before[1] + 1)


def test_each_box_loads_its_parts_from_the_host_that_it_names(
    page: Page, host_site: HostSite, live_server: LiveServer, other_server: LiveServer
) -> None:
    parts: RecordedRequests[str] = RecordedRequests(page)
    page.on("request", lambda request: parts.append(request.url) if "reminder-1.js" in request.url else None)
    show(page, host_site, [live_server, other_server], "", f'api="{other_server.base_url}"')
    for number, server in ((1, other_server), (0, live_server)):
        box = box_number(page, number)
        box.host.get_by_role("button", name=NOT_READY_BUTTON).click()
        box.expect_state("reminder-form")
        assert parts.wait_for(2 - number)[-1].startswith(f"{server.base_url}/widget/")


def test_script_of_a_host_serves_the_boxes_of_no_other(
    page: Page,
    host_site: HostSite,
    live_server: LiveServer,
    other_server: LiveServer,
    expected_console_errors: list[str],
) -> None:
    expected_console_errors.append(WARNING)
    warnings = record_warnings(page)
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    show(page, host_site, [live_server], "", f'api="{other_server.base_url}"', 'api="http://["')
    box_number(page, 0).expect_state("form")
    expect_link_only(page, 1)
    expect_link_only(page, 2)
    assert all(WARNING in warning for warning in warnings.wait_for(2))
    assert not [url for url in requests if url.startswith(other_server.base_url)]


def test_second_unnamed_box_is_not_served_by_the_first_host(
    page: Page,
    host_site: HostSite,
    live_server: LiveServer,
    other_server: LiveServer,
    expected_console_errors: list[str],
) -> None:
    expected_console_errors.append(WARNING)
    warnings = record_warnings(page)
    show(page, host_site, [live_server, other_server], "", "")
    box_number(page, 0).expect_state("form")
    expect_link_only(page, 1)
    assert other_server.base_url in warnings.wait_for(1)[0]


def test_several_unnamed_boxes_belong_to_the_first_script(
    page: Page, host_site: HostSite, live_server: LiveServer, other_server: LiveServer
) -> None:
    show(page, host_site, [live_server, other_server], "", "", f'api="{other_server.base_url}"')
    for number in range(3):
        box_number(page, number).expect_state("form")


def test_box_follows_its_api_attribute(
    page: Page,
    host_site: HostSite,
    live_server: LiveServer,
    other_server: LiveServer,
    expected_console_errors: list[str],
) -> None:
    expected_console_errors.append(WARNING)
    named = f'api="{other_server.base_url}"'
    show(page, host_site, [live_server, other_server], named, named)
    box = box_number(page, 0)
    box.expect_state("form")
    page.evaluate("box0.setAttribute('api', 'https://unknown.example')")
    expect_link_only(page, 0)
    page.evaluate("box0.removeAttribute('api')")
    pledge(box)
    assert page.url.startswith(live_server.base_url)


def test_script_that_comes_late_serves_its_boxes(
    page: Page,
    host_site: HostSite,
    live_server: LiveServer,
    other_server: LiveServer,
    expected_console_errors: list[str],
) -> None:
    expected_console_errors.append(WARNING)
    show(page, host_site, [live_server], "", f'api="{other_server.base_url}"')
    expect_link_only(page, 1)
    page.evaluate("(url) => import(url)", f"{other_server.base_url}/widget/v1.js")
    pledge(box_number(page, 1))
    assert page.url.startswith(other_server.base_url)


def test_same_script_twice_changes_nothing(page: Page, host_site: HostSite, live_server: LiveServer) -> None:
    show(page, host_site, [live_server, live_server], "", "")
    for number in range(2):
        box_number(page, number).expect_state("form")
    page.evaluate("(url) => import(url)", f"{live_server.base_url}/widget/v1.js?again")
    box_number(page, 1).expect_state("form")

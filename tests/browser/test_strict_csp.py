"""The box on another origin under a strict policy: it works, is styled, and stores nothing."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect

from tests.browser.accessibility import evaluate_check
from tests.browser.conftest import BOTH_BROWSERS, NewPage
from tests.browser.host_site import HostSite
from tests.browser.live_server import LiveServer, pledge_id_from_url
from tests.browser.network import RecordedRequests
from tests.browser.support_box import REMINDER_SET, SupportBox

# The accent of the demo, or that of a campaign without a brand, which other tests may have applied.
STYLED = re.compile(r"rgb\((27, 79, 143|15, 92, 78)\)")

NO_STORED_DATA = {"cookies": "", "local": {}, "session": {}, "databases": [], "caches": [], "workers": 0}


@pytest.fixture
def violations(page: Page) -> list[str]:
    """Return a list that records every policy violation, from before the page loads."""
    violations: list[str] = []
    page.context.expose_function("reportViolation", lambda violation: violations.append(violation))
    page.context.add_init_script(
        """addEventListener("securitypolicyviolation", (event) =>
             reportViolation(`${event.effectiveDirective} ${event.blockedURI} ${event.sample}`))"""
    )
    return violations


@pytest.fixture
def requests(page: Page) -> RecordedRequests[Request]:
    """Return a list that records every request of every page in the context."""
    requests: RecordedRequests[Request] = RecordedRequests(page)
    page.context.on("request", lambda request: requests.append(request))
    return requests


def assert_nothing_is_stored(context: BrowserContext) -> None:
    assert context.cookies() == []
    assert [evaluate_check(page, "storedData") for page in context.pages] == [NO_STORED_DATA]


@BOTH_BROWSERS
def test_pledge_and_reminder_under_a_strict_policy(
    live_server: LiveServer,
    host_site: HostSite,
    page: Page,
    violations: list[str],
    requests: RecordedRequests[Request],
) -> None:
    article = host_site.show('variant="strict"')
    page.goto(article)
    box = SupportBox(page)
    box.expect_state("form")
    # The page's policy forbids style sheets and style attributes.
    expect(box.submit).to_have_css("background-color", STYLED)
    expect(box.submit).to_have_css("min-height", "52px")

    box.not_ready.click()
    box.email.fill("strict@example.org")
    box.remind.click()
    expect(box.heading).to_have_text(REMINDER_SET)
    assert_nothing_is_stored(page.context)

    page.reload()
    box.choose("Monthly", "2")
    box.continue_button.click()
    page.get_by_role("button", name="Pay $2 a month").click()
    expect(page.get_by_text("You’re now giving The Harbour Lantern $2 a month.")).to_be_visible()
    row = live_server.export()[pledge_id_from_url(page.url)]
    assert (row["status"], row["amount"], row["currency"]) == ("active", "2.00", "USD")
    assert (row["page_url"], row["variant"]) == (article, "strict")

    assert_nothing_is_stored(page.context)
    assert violations == []
    assert {urlsplit(request.url).netloc for request in requests} == {
        urlsplit(live_server.base_url).netloc,
        urlsplit(host_site.base_url).netloc,
    }
    api_requests = [request for request in requests if "/v1/" in request.url]
    # Two loads of the campaign, a pledge, the texts of the reminder form, and a reminder.
    assert len(api_requests) == 5
    for request in api_requests:
        headers = request.all_headers()
        assert not any(headers.get(name) for name in ("cookie", "referer", "authorization"))


def test_box_adds_one_global_name_to_the_page(host_site: HostSite, page: Page) -> None:
    page.goto(host_site.show())
    SupportBox(page).expect_state("form")
    names = "() => Object.getOwnPropertyNames(window).sort()"
    with_box = page.evaluate(names)
    page.route("**/widget/v1.js", lambda route: route.abort())
    page.reload()
    assert {*with_box} - {*page.evaluate(names)} == {"SupportBox"}


@BOTH_BROWSERS
def test_events_contain_no_personal_data(host_site: HostSite, page: Page) -> None:
    events: RecordedRequests[dict] = RecordedRequests(page)
    page.context.expose_function("recordEvent", lambda event: events.append(event))
    page.context.add_init_script(
        """for (const name of ["pledged", "reminded", "dismissed"])
             addEventListener(`support-box:${name}`, ({ type, detail }) => recordEvent({ type, ...detail }))"""
    )
    page.goto(host_site.show('variant="b"'))
    box = SupportBox(page)
    box.not_ready.click()
    box.email.fill("who@example.org")
    box.remind.click()
    box.expect_state("reminder-set")
    box.close.click()
    page.reload()
    box.choose("Once", "9")
    box.continue_button.click()
    expect(page).to_have_url(re.compile("/sandbox/checkout/"))
    common = {"campaign": "default", "variant": "b"}
    pledge = {"frequency": "once", "amount": 900, "currency": "USD"}
    assert events.wait_for(3) == [
        {"type": "support-box:reminded", **common, "months": 1},
        {"type": "support-box:dismissed", **common},
        {"type": "support-box:pledged", **common, **pledge, "fees": 0},
    ]


def test_campaign_with_origins_loads_on_a_listed_site(
    live_server: LiveServer, host_site: HostSite, new_page: NewPage, tmp_path: Path
) -> None:
    live_server.apply_campaign(tmp_path, slug="listed", origins=[host_site.base_url])
    page = new_page()
    page.goto(host_site.show('campaign="listed"'))
    box = SupportBox(page)
    box.expect_state("form")
    box.continue_button.click()
    expect(page).to_have_url(re.compile("/sandbox/checkout/"))


def test_unlisted_origin_keeps_the_fallback_link(
    live_server: LiveServer, host_site: HostSite, page: Page, tmp_path: Path, expected_console_errors: list[str]
) -> None:
    # The browser logs that the response is blocked.
    expected_console_errors.append("blocked by CORS policy")
    live_server.apply_campaign(tmp_path, slug="elsewhere", origins=["https://elsewhere.example"])
    page.goto(host_site.show('campaign="elsewhere"'))
    box = SupportBox(page)
    box.expect_state("error")
    expect(box.host).to_contain_text("We couldn’t load this form.")
    expect(box.link).to_be_visible()
    expect(box.host.get_by_role("radio")).to_have_count(0)
    box.link.click()
    expect(page).to_have_url(f"{live_server.base_url}/support/default")


def test_checkout_returns_to_the_return_url(
    live_server: LiveServer, host_site: HostSite, page: Page, tmp_path: Path
) -> None:
    live_server.apply_campaign(tmp_path, slug="returning", return_hosts=["127.0.0.1"])
    page.goto(host_site.show('campaign="returning" return-url="/thanks?from=box"'))
    box = SupportBox(page)
    box.choose("Once", "5")
    box.continue_button.click()
    page.get_by_role("button", name="Pay $5 once").click()
    expect(page).to_have_url(
        re.compile(re.escape(f"{host_site.base_url}/thanks?from=box&pledge=") + ".*status=completed")
    )

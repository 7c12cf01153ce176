"""The parts of the box that load when a reader needs them, and what readers see if they do not load."""

import hashlib
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Request, Route, expect

import service.pages.static_files
from tests.browser.conftest import BOTH_BROWSERS
from tests.browser.host_site import HostSite
from tests.browser.live_server import LiveServer
from tests.browser.network import (
    CHECKOUT_PART,
    PLEDGES,
    REMINDER_PART,
    PausedRoute,
    RecordedRequests,
    record_requests,
)
from tests.browser.support_box import REMINDER_SET, SupportBox
from tests.browser.three_currencies import CAMPAIGN_ATTRIBUTE, CAMPAIGN_FILE

STATIC = Path(service.pages.static_files.__file__).with_name("static")
FIRST_RELEASED = "64b8e6501c5668ca"
OFFERS_PART = "**/widget/offers-1.js*"
UNREACHABLE = re.compile("reach our server")
CHECKOUT = re.compile("/sandbox/checkout/")


@pytest.fixture
def parts(page: Page) -> RecordedRequests[Request]:
    """Return a list that records every request for a part."""
    parts: RecordedRequests[Request] = RecordedRequests(page)

    def record(request: Request) -> None:
        if "/widget/" in request.url and not request.url.endswith("v1.js"):
            parts.append(request)

    page.on("request", record)
    return parts


def fail_once(page: Page, url: str) -> None:
    page.route(url, lambda route: route.abort(), times=1)


def test_page_loads_the_reminder_once_its_reader_is_about_to_ask(
    demo: SupportBox, parts: RecordedRequests[Request]
) -> None:
    demo.expect_state("form")
    assert parts == []
    # Preloaded when the button gets the focus or the pointer.
    demo.not_ready.focus()
    [part] = parts.wait_for(1)
    assert re.search(r"/widget/reminder-1\.js\?v=[0-9a-f]{16}$", part.url)
    demo.not_ready.click()
    demo.expect_state("reminder-form")
    expect(demo.heading).to_be_focused()
    demo.back.click()
    demo.not_ready.click()
    demo.expect_state("reminder-form")
    assert len(parts) == 1


@pytest.mark.parametrize("way", ["pointer", "keyboard"])
def test_page_loads_the_checkout_once_its_reader_comes_to_the_form(
    demo: SupportBox, parts: RecordedRequests[Request], way: str
) -> None:
    demo.expect_state("form")
    assert parts == []
    if way == "pointer":
        demo.annual.hover(force=True)
    else:
        demo.annual.focus()
    [part] = parts.wait_for(1)
    assert re.search(r"/widget/checkout-1\.js\?v=[0-9a-f]{16}$", part.url)
    demo.choose("Annual", "30")
    demo.continue_button.click()
    expect(demo.page).to_have_url(CHECKOUT)
    assert len(parts) == 1


def press_continue(box: SupportBox) -> None:
    """Press Continue as a keyboard shortcut or a script does: with no pointer or focus in the form before."""
    box.submit.dispatch_event("click")


@BOTH_BROWSERS
def test_continue_waits_for_the_checkout_and_goes_on_once(demo: SupportBox) -> None:
    sent = record_requests(demo.page, "/v1/pledges")
    paused = PausedRoute(demo.page, CHECKOUT_PART)
    press_continue(demo)
    demo.expect_state("submitting")
    expect(demo.submit).to_have_text("Taking you to checkout…")
    expect(demo.submit).to_be_focused()
    press_continue(demo)
    demo.force_click(demo.submit)
    paused.resume()
    expect(demo.page).to_have_url(CHECKOUT)
    assert len(sent.wait_for(1)) == 1


def test_wrong_amount_is_explained_once_the_checkout_is_there(demo: SupportBox) -> None:
    paused = PausedRoute(demo.page, CHECKOUT_PART)
    demo.other_amount.fill("1")
    demo.continue_button.click()
    demo.expect_state("form")
    paused.resume()
    demo.expect_state("invalid")
    expect(demo.error).to_have_text("The minimum is $2.")


def test_reader_who_chose_the_reminder_meanwhile_is_not_taken_to_the_checkout(demo: SupportBox) -> None:
    sent = record_requests(demo.page, "/v1/pledges")
    paused = PausedRoute(demo.page, CHECKOUT_PART)
    press_continue(demo)
    demo.expect_state("submitting")
    demo.page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    demo.expect_state("form")
    demo.not_ready.click()
    demo.expect_state("reminder-form")
    with demo.page.expect_response(CHECKOUT_PART):
        paused.resume()
    demo.page.wait_for_timeout(300)
    demo.expect_state("reminder-form")
    assert sent == []


def test_checkout_that_cannot_be_loaded_offers_another_try(demo: SupportBox) -> None:
    fail_once(demo.page, CHECKOUT_PART)
    demo.annual.dispatch_event("click")
    press_continue(demo)
    demo.expect_state("error")
    expect(demo.host).to_contain_text(UNREACHABLE)
    expect(demo.host).to_contain_text("You haven’t been charged.")
    expect(demo.heading).to_be_focused()
    demo.retry.click()
    expect(demo.page).to_have_url(CHECKOUT)


def test_checkout_that_cannot_be_loaded_leads_to_the_plain_page(live_server: LiveServer, demo: SupportBox) -> None:
    demo.page.route(CHECKOUT_PART, lambda route: route.abort())
    demo.choose("Annual", "30")
    demo.continue_button.click()
    demo.expect_state("error")
    link = demo.host.get_by_role("link", name="Continue on our support page")
    url = urlsplit(link.get_attribute("href"))
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{live_server.base_url}/support/default"
    with demo.page.expect_popup() as popup:
        link.click()
    plain = popup.value
    expect(plain.get_by_role("radio", name="Annual")).to_be_checked()
    expect(plain.get_by_role("button", name="Continue – $30 a year")).to_be_visible()
    demo.back.click()
    expect(demo.continue_button).to_have_text("Continue – $30 a year")


def test_touch_and_keyboard_wait_for_the_reminder(demo: SupportBox, parts: RecordedRequests[Request]) -> None:
    demo.not_ready.dispatch_event("click")
    demo.expect_state("reminder-form")
    assert len(parts.wait_for(1)) == 1


def test_reminder_that_cannot_be_loaded_offers_another_try(demo: SupportBox) -> None:
    fail_once(demo.page, REMINDER_PART)
    demo.choose("Annual", "30")
    demo.not_ready.dispatch_event("click")
    demo.expect_state("error")
    expect(demo.host).to_contain_text(UNREACHABLE)
    # Nothing was to be paid.
    expect(demo.host).not_to_contain_text("charged")
    demo.retry.click()
    demo.expect_state("reminder-form")
    demo.email.fill("second-try@example.org")
    demo.remind.click()
    expect(demo.heading).to_have_text(REMINDER_SET)


def test_failed_preload_is_tried_again_on_click(demo: SupportBox, parts: RecordedRequests[Request]) -> None:
    fail_once(demo.page, REMINDER_PART)
    with demo.page.expect_event("requestfailed"):
        demo.not_ready.focus()
    demo.expect_state("form")
    demo.not_ready.dispatch_event("click")
    demo.expect_state("reminder-form")
    assert len(parts.wait_for(2)) == 2


def test_reminder_that_cannot_be_loaded_leads_to_the_plain_page(live_server: LiveServer, demo: SupportBox) -> None:
    demo.page.route(REMINDER_PART, lambda route: route.abort())
    demo.choose("Annual", "30")
    demo.not_ready.click()
    demo.expect_state("error")
    link = demo.host.get_by_role("link", name="Remind me later")
    url = urlsplit(link.get_attribute("href"))
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{live_server.base_url}/support/default"
    assert parse_qs(url.query, keep_blank_values=True) == {
        "remind": [""],
        "lang": ["en"],
        "frequency": ["annual"],
        "amount": ["3000"],
        "currency": ["USD"],
    }
    with demo.page.expect_popup() as popup:
        link.click()
    plain = popup.value
    expect(plain.get_by_role("button", name="Remind me next month")).to_be_visible()
    expect(plain.get_by_role("radio", name="Annual")).to_be_checked()
    expect(plain.get_by_label("Other amount")).to_have_value("30")
    # The box goes on with the reader's choice.
    demo.back.click()
    expect(demo.continue_button).to_have_text("Continue – $30 a year")


@BOTH_BROWSERS
def test_slow_reminder_does_not_interrupt_the_checkout(demo: SupportBox) -> None:
    routes: RecordedRequests[Route] = RecordedRequests(demo.page)
    demo.page.route(REMINDER_PART, lambda route: routes.append(route))
    demo.page.route(PLEDGES, lambda route: routes.append(route))
    demo.not_ready.dispatch_event("click")
    demo.continue_button.click()
    reminder, pledge = routes.wait_for(2)
    demo.expect_state("submitting")
    with demo.page.expect_response(REMINDER_PART):
        reminder.continue_()
    pledge.continue_()
    expect(demo.page).to_have_url(re.compile("/sandbox/checkout/"))


def test_currencies_that_cannot_be_loaded_keep_the_link(
    live_server: LiveServer, host_site: HostSite, page: Page
) -> None:
    live_server.run_command("campaign", "apply", str(CAMPAIGN_FILE))
    fail_once(page, OFFERS_PART)
    page.goto(host_site.show(CAMPAIGN_ATTRIBUTE))
    box = SupportBox(page)
    box.expect_state("error")
    expect(box.link).to_be_visible()
    box.retry.click()
    box.expect_state("form")
    expect(box.currency).to_be_visible()


def test_page_with_one_currency_and_no_fees_loads_only_the_checkout(
    live_server: LiveServer, host_site: HostSite, page: Page, parts: RecordedRequests[Request], tmp_path: Path
) -> None:
    live_server.apply_campaign(tmp_path, slug="plain-offer")
    page.goto(host_site.show('campaign="plain-offer"'))
    box = SupportBox(page)
    box.expect_state("form")
    box.continue_button.click()
    expect(page).to_have_url(CHECKOUT)
    assert [urlsplit(part.url).path for part in parts] == ["/widget/checkout-1.js"]


@pytest.fixture
def older_script(page: Page) -> None:
    """Serve the first script that loaded parts, as a browser's cache does after a deployment."""
    older = (STATIC / "released" / f"{FIRST_RELEASED}.js").read_text(encoding="utf-8")
    headers = {"Access-Control-Allow-Origin": "*"}
    page.route(
        "**/widget/v1.js",
        lambda route: route.fulfill(body=older, content_type="text/javascript; charset=utf-8", headers=headers),
    )


@pytest.mark.usefixtures("older_script")
def test_script_of_an_older_build_uses_the_current_reminder(
    live_server: LiveServer, host_site: HostSite, page: Page, parts: RecordedRequests[Request]
) -> None:
    before = live_server.count("reminders")
    page.goto(host_site.show())
    box = SupportBox(page)
    box.choose("Annual", "30")
    box.not_ready.click()
    box.expect_state("reminder-form")
    current = (STATIC / "reminder-1.js").read_bytes()
    [part] = parts.wait_for(1)
    assert hashlib.sha256(current).hexdigest()[:16] not in part.url
    assert part.response().body() == current
    box.submit.click()
    box.expect_state("invalid")
    expect(box.error).to_have_text(re.compile(r"\w"))
    box.email.fill("older-box@example.org")
    box.submit.click()
    expect(box.heading).to_have_text(REMINDER_SET)
    assert live_server.count("reminders") == before + 1


@pytest.mark.usefixtures("older_script")
def test_script_of_an_older_build_uses_the_current_currencies(
    live_server: LiveServer, host_site: HostSite, page: Page
) -> None:
    live_server.run_command("campaign", "apply", str(CAMPAIGN_FILE))
    page.goto(host_site.show(CAMPAIGN_ATTRIBUTE))
    box = SupportBox(page)
    box.expect_state("form")
    before = box.submit.text_content()
    box.currency.select_option(index=1)
    expect(box.submit).not_to_have_text(before)
    box.submit.click()
    expect(page).to_have_url(re.compile("/sandbox/checkout/"))


@BOTH_BROWSERS
def test_classic_script_can_import_the_box(live_server: LiveServer, host_site: HostSite, page: Page) -> None:
    host_site.show(is_strict=False)
    module = f'<script type="module" src="{live_server.base_url}/widget/v1.js"></script>'
    classic = f'<script>import("{live_server.base_url}/widget/v1.js")</script>'
    assert module in host_site.html
    host_site.html = host_site.html.replace(module, classic)
    page.goto(f"{host_site.base_url}/article")
    box = SupportBox(page)
    box.expect_state("form")
    box.not_ready.click()
    box.expect_state("reminder-form")

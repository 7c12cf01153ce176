"""The events of the box, and `SupportBox.on` for tag managers; in Chromium and in Firefox."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import BOTH_BROWSERS
from tests.browser.host_site import HostSite
from tests.browser.network import CAMPAIGN, PLEDGES, fail_requests, pause_requests, record_requests
from tests.browser.support_box import SupportBox

pytestmark = BOTH_BROWSERS

NAMES = ("view", "frequency", "amount", "continue", "error", "pledged", "reminded", "dismissed")
# What a page on which a tag manager comes first does.
LISTEN = f"""
window.heard = [];
for (const name of {list(NAMES)}) document.addEventListener(`support-box:${{name}}`, (event) => {{
  heard.push([name, event.detail, event.bubbles, event.composed, event.cancelable]);
  if (window.prevented === name) event.preventDefault();
}});
"""
CHOICE = {"campaign": "default", "variant": "foot"}


def open_box(page: Page, host_site: HostSite, attributes: str = 'variant="foot"') -> SupportBox:
    page.add_init_script(LISTEN)
    page.goto(host_site.show(attributes))
    box = SupportBox(page)
    box.expect_state("form")
    return box


def wait_for_events(page: Page, number: int) -> list[tuple[str, dict[str, Any]]]:
    page.wait_for_function("(number) => heard.length >= number", arg=number)
    return [(name, detail) for name, detail, *_ in page.evaluate("() => heard")]


def test_each_choice_has_an_event_with_its_details(host_site: HostSite, page: Page) -> None:
    box = open_box(page, host_site)
    box.frame.scroll_into_view_if_needed()
    assert wait_for_events(page, 1) == [("view", CHOICE)]
    box.once.check()
    box.presets.nth(2).check()
    box.other_amount.press_sequentially("2.50")
    box.other_amount.blur()
    dollars = CHOICE | {"currency": "USD", "frequency": "once"}
    assert wait_for_events(page, 4)[1:] == [
        ("frequency", dollars | {"amount": 1500}),
        ("amount", dollars | {"amount": 5000}),
        ("amount", dollars | {"amount": 250}),
    ]
    box.other_amount.fill("1.000")
    box.continue_button.click()
    page.wait_for_function("() => heard.at(-1)[0] === 'error'")
    assert wait_for_events(page, 5)[-1] == ("error", CHOICE | {"code": "amount_decimals"})
    flags = {name: flags for name, _, *flags in page.evaluate("() => heard")}
    assert flags["view"] == [True, True, False]


def open_below_the_fold(host_site: HostSite, page: Page) -> SupportBox:
    page.set_viewport_size({"width": 800, "height": 400})
    page.add_init_script(LISTEN)
    url = host_site.show(is_strict=False)
    host_site.html = host_site.html.replace("<support-box", '<div style="height: 200vh"></div><support-box')
    page.goto(url)
    box = SupportBox(page)
    box.expect_state("form")
    return box


def test_view_waits_until_the_reader_sees_the_box(host_site: HostSite, page: Page) -> None:
    box = open_below_the_fold(host_site, page)
    assert page.evaluate("() => new Promise((done) => setTimeout(() => done(heard), 300))") == []
    box.frame.scroll_into_view_if_needed()
    assert wait_for_events(page, 1)[0][0] == "view"


def test_view_comes_once_however_often_attributes_change(host_site: HostSite, page: Page) -> None:
    box = open_box(page, host_site, 'amount="500"')
    wait_for_events(page, 1)
    box.host.evaluate("(box) => box.setAttribute('amount', '700')")
    expect(box.submit).to_have_text("Continue – $7 a month")
    # The next event comes after a second view would have come.
    page.wait_for_timeout(300)
    box.once.check()
    assert [name for name, _ in wait_for_events(page, 2)] == ["view", "frequency"]


def test_view_comes_once_if_the_campaign_changed_before_the_reader_saw_the_box(
    host_site: HostSite, page: Page
) -> None:
    box = open_below_the_fold(host_site, page)
    box.host.evaluate("(box) => box.setAttribute('lang', 'de')")
    german = SupportBox(page, "de")
    expect(german.once).to_be_visible()
    box.frame.scroll_into_view_if_needed()
    german.once.check()
    assert [name for name, _ in wait_for_events(page, 2)] == ["view", "frequency"]


def test_page_may_prevent_the_checkout(host_site: HostSite, page: Page) -> None:
    pledges = record_requests(page, PLEDGES)
    box = open_box(page, host_site)
    page.evaluate("() => { window.prevented = 'continue' }")
    box.continue_button.click()
    page.wait_for_function("() => heard.some(([name]) => name === 'continue')")
    event = next(event for event in page.evaluate("() => heard") if event[0] == "continue")
    assert event == [
        "continue",
        CHOICE | {"frequency": "monthly", "amount": 700, "currency": "USD"},
        True,
        True,
        True,
    ]
    box.expect_state("form")
    assert pledges == []
    page.evaluate("() => { window.prevented = '' }")
    box.continue_button.click()
    page.wait_for_url("**/sandbox/**")


@pytest.mark.parametrize("press", ["dblclick", "Enter"])
def test_double_click_and_double_enter_continue_once(host_site: HostSite, page: Page, press: str) -> None:
    paused = pause_requests(page, PLEDGES)
    box = open_box(page, host_site)
    if press == "dblclick":
        box.continue_button.dblclick()
    else:
        box.other_amount.focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
    box.expect_state("submitting")
    page.wait_for_function("() => heard.some(([name]) => name === 'continue')")
    assert [name for name, _ in wait_for_events(page, 1)].count("continue") == 1
    paused.resume()
    page.wait_for_url("**/sandbox/**")


def test_field_that_fires_only_change_counts(host_site: HostSite, page: Page) -> None:
    box = open_box(page, host_site)
    box.other_amount.evaluate("(input) => { input.value = '3'; input.dispatchEvent(new Event('change')) }")
    expect(box.submit).to_have_text("Continue – $3 a month")


@pytest.mark.parametrize(("status", "code"), [(500, "unexpected"), (None, "unreachable")])
def test_failed_request_has_an_event(host_site: HostSite, page: Page, status: int | None, code: str) -> None:
    box = open_box(page, host_site)
    if status is None:
        page.route(PLEDGES, lambda route: route.abort())
    else:
        fail_requests(page, PLEDGES, status)
    box.continue_button.click()
    box.expect_state("error")
    page.wait_for_function("() => heard.some(([name]) => name === 'error')")
    assert ("error", CHOICE | {"code": code}) in wait_for_events(page, 1)


def test_campaign_that_cannot_be_loaded_has_an_event(host_site: HostSite, page: Page) -> None:
    page.add_init_script(LISTEN)
    fail_requests(page, CAMPAIGN, 500)
    page.goto(host_site.show())
    SupportBox(page).expect_state("error")
    assert wait_for_events(page, 1) == [("error", {"campaign": "default", "variant": None, "code": "unexpected"})]


def test_tag_manager_that_comes_late_hears_what_happened_before(host_site: HostSite, page: Page) -> None:
    box = open_box(page, host_site)
    box.once.check()
    wait_for_events(page, 1)
    page.evaluate(
        """() => {
            window.late = [];
            window.stop = SupportBox.on("frequency", ({ detail }) => late.push(detail.frequency));
        }"""
    )
    assert page.evaluate("() => late") == ["once"]
    box.annual.check()
    assert page.evaluate("() => late") == ["once", "annual"]
    page.evaluate("() => stop()")
    box.monthly.check()
    assert page.evaluate("() => late") == ["once", "annual"]


def test_handler_that_throws_hears_the_next_event(host_site: HostSite, page: Page) -> None:
    box = open_box(page, host_site)
    box.once.check()
    wait_for_events(page, 1)
    page.evaluate(
        """() => {
            window.late = [];
            try {
                SupportBox.on("frequency", ({ detail }) => {
                    late.push(detail.frequency);
                    if (late.length === 1) throw new Error("not ready");
                });
            } catch {}
        }"""
    )
    box.annual.check()
    assert page.evaluate("() => late") == ["once", "annual"]


def test_page_may_have_a_variable_of_the_same_name(host_site: HostSite, page: Page) -> None:
    page.add_init_script("window.SupportBox = 'ours'")
    box = open_box(page, host_site)
    box.once.check()
    assert wait_for_events(page, 1)
    assert page.evaluate("() => SupportBox") == "ours"

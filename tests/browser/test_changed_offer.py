"""A campaign that changes while its box or page is open: today's offer, and what still fits of the choice."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.host_site import HostSite
from tests.browser.live_server import LiveServer
from tests.browser.support_box import SupportBox

SLUG = "changing"
CHANGED = "The choices here have just changed. Please check yours."
ONCE: dict[str, Any] = {
    "frequency": "once",
    "presets": [500, 3000],
    "default": 500,
    "minimum": 200,
    "maximum": 100000,
}
MONTHLY = ONCE | {"frequency": "monthly"}
YEN = {
    "currency": "JPY",
    "frequencies": [{"frequency": "once", "presets": [700], "minimum": 100, "maximum": 100000}],
}
OFFER: dict[str, Any] = {
    "slug": SLUG,
    "currency": "USD",
    "default_frequency": "monthly",
    "frequencies": [ONCE, MONTHLY],
    "reminder": {"enabled": True, "choices": [1, 3]},
}


@pytest.fixture
def change(live_server: LiveServer, tmp_path: Path) -> Any:
    """Return a function that changes the campaign."""

    def apply(**changes: Any) -> None:
        live_server.apply_campaign(tmp_path, **(OFFER | changes))

    return apply


@pytest.fixture
def box(change: Any, host_site: HostSite, page: Page, expected_console_errors: list[str]) -> Iterator[SupportBox]:
    """Open a box on another site, before the campaign changes."""
    expected_console_errors.append("the server responded with a status of 4")
    change(other_currencies=[YEN])
    page.goto(host_site.show(f'campaign="{SLUG}"'))
    box = SupportBox(page)
    box.expect_state("form")
    return box


def expect_changed(box: SupportBox, more: str = "") -> None:
    """Wait for today's form: it says that the choices changed, and has the focus at its start."""
    box.expect_state("form")
    expect(box.host.locator(".box > [role=status]")).to_have_text(f"{CHANGED} {more}".strip())
    expect(box.heading).to_be_focused()


def test_raised_minimum_is_the_limit_of_today(box: SupportBox, change: Any) -> None:
    box.choose("Monthly", "5")
    change(frequencies=[ONCE, MONTHLY | {"presets": [2500], "default": 2500, "minimum": 2000}])
    box.continue_button.click()
    expect_changed(box, "The minimum is $20.")
    expect(box.monthly).to_be_checked()
    expect(box.submit).to_have_text("Continue – $25 a month")
    box.other_amount.fill("20")
    box.continue_button.click()
    expect(box.page.get_by_role("button", name="Pay $20 a month")).to_be_visible()


def test_amount_that_still_fits_stays(box: SupportBox, change: Any) -> None:
    box.choose("Monthly", "12.50")
    change(frequencies=[ONCE], default_frequency="once", other_currencies=[YEN])
    box.continue_button.click()
    expect_changed(box)
    expect(box.monthly).to_have_count(0)
    expect(box.once).to_be_checked()
    # Another frequency is another amount.
    expect(box.submit).to_have_text("Continue – $5 once")
    box.continue_button.click()
    expect(box.page.get_by_role("button", name="Pay $5 once")).to_be_visible()


def test_lowered_maximum_keeps_the_frequency(box: SupportBox, change: Any) -> None:
    box.choose("Once", "900")
    change(frequencies=[ONCE | {"maximum": 50000}, MONTHLY])
    box.continue_button.click()
    expect_changed(box, "The most you can give here is $500. Want to give more? Contact us.")
    expect(box.once).to_be_checked()
    expect(box.other_amount).to_have_value("")


def test_currency_that_is_gone(box: SupportBox, change: Any) -> None:
    box.currency.select_option(index=1)
    box.other_amount.fill("1200")
    change(other_currencies=[])
    box.continue_button.click()
    expect_changed(box)
    expect(box.currency).to_have_count(0)
    expect(box.submit).to_have_text("Continue – $5 a month")


def test_reminders_that_are_gone_lead_back_to_the_form(box: SupportBox, change: Any) -> None:
    box.choose("Once", "30")
    box.not_ready.click()
    box.email.fill("kept@example.org")
    change(reminder={"enabled": False})
    box.submit.click()
    expect_changed(box)
    expect(box.not_ready).to_have_count(0)
    # What still fits is kept.
    expect(box.submit).to_have_text("Continue – $30 once")


def test_reminder_choice_that_is_gone_keeps_the_address(box: SupportBox, change: Any) -> None:
    box.not_ready.click()
    box.email.fill("kept@example.org")
    box.when.select_option(index=1)
    change(reminder={"enabled": True, "choices": [2]})
    box.submit.click()
    box.expect_state("reminder-form")
    expect(box.host.locator(".box > [role=status]")).to_contain_text(CHANGED)
    expect(box.heading).to_be_focused()
    expect(box.email).to_have_value("kept@example.org")
    box.submit.click()
    box.expect_state("reminder-set")


@pytest.mark.parametrize("is_reminder", [False, True])
def test_closed_campaign_says_so(box: SupportBox, live_server: LiveServer, is_reminder: bool) -> None:
    if is_reminder:
        box.not_ready.click()
        box.email.fill("late@example.org")
    live_server.run_command("campaign", "close", SLUG, "--waiting", "cancel")
    try:
        box.submit.click()
        box.expect_state("form")
        expect(box.submit).to_have_count(0)
        expect(box.heading).to_be_focused()
        expect(box.heading).to_have_text("The Harbour Lantern isn’t taking donations right now")
    finally:
        live_server.run_command("campaign", "reopen", SLUG)


def test_narrowed_origin_leads_to_the_plain_page(box: SupportBox, change: Any) -> None:
    box.choose("Once", "30")
    change(origins=["https://elsewhere.example"])
    box.continue_button.click()
    box.expect_state("error")
    expect(box.host).to_contain_text("can’t be used on this page any more")
    expect(box.host).not_to_contain_text("connection")
    with box.page.expect_popup() as popup:
        box.host.get_by_role("link", name="Continue on our support page").click()
    plain = popup.value
    expect(plain.get_by_role("button", name="Continue – $30 once")).to_be_visible()


@pytest.mark.parametrize("attributes", ["", 'reminder="off"', 'frequency="monthly" amount="500" compact'])
def test_same_offer_shows_the_error_and_keeps_the_pledge(
    box: SupportBox, host_site: HostSite, attributes: str
) -> None:
    def refuse(route: Any) -> None:
        headers = {"Access-Control-Allow-Origin": "*"}
        route.fulfill(status=422, headers=headers, json={"status": 422, "code": "amount_not_chargeable"})

    box.page.goto(host_site.show(f'campaign="{SLUG}" {attributes}'))
    box.expect_state("form")
    box.page.route("**/v1/pledges", refuse, times=1)
    box.continue_button.click()
    box.expect_state("error")
    box.retry.click()
    expect(box.page.get_by_role("button", name="Pay $5 a month")).to_be_visible()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frequencies": [ONCE, MONTHLY | {"presets": [2500], "default": 2500, "minimum": 2000}]}, "$20"),
        ({"frequencies": [ONCE], "default_frequency": "once"}, CHANGED),
        ({"currency": "EUR"}, "currency"),
    ],
)
def test_open_page_shows_today_s_offer(
    change: Any, page: Page, expected_console_errors: list[str], changes: dict[str, Any], message: str
) -> None:
    expected_console_errors.append("the server responded with a status of 4")
    change()
    page.goto(f"/support/{SLUG}?lang=en")
    page.get_by_label("Other amount").fill("7")
    change(**changes)
    page.locator("[data-continue]").click()
    expect(page.get_by_role("alert")).to_contain_text(message)
    # The form has today's choices, and goes on.
    page.get_by_role("radio").first.check()
    page.get_by_label("Other amount").fill("30")
    page.locator("[data-continue]").click()
    expect(page.get_by_role("button", name="Pay")).to_be_visible()


@pytest.mark.parametrize("typed", ["3", "3,00"])
def test_open_page_takes_an_amount_that_its_old_limits_did_not(
    change: Any, page: Page, expected_console_errors: list[str], typed: str
) -> None:
    expected_console_errors.append("the server responded with a status of 4")
    high = MONTHLY | {"presets": [2500], "default": 2500, "minimum": 2000}
    change(frequencies=[ONCE, high])
    page.goto(f"/support/{SLUG}?lang=en")
    page.get_by_label("Other amount").fill(typed)
    change(frequencies=[ONCE, MONTHLY])
    page.locator("[data-continue]").click()
    if typed == "3,00":
        page.get_by_role("button", name="Use $3").click()
        page.locator("[data-continue]").click()
    expect(page.get_by_role("button", name="Pay $3 a month")).to_be_visible()


def test_page_after_a_refusal_has_the_limits_of_today(
    change: Any, page: Page, expected_console_errors: list[str]
) -> None:
    expected_console_errors.append("the server responded with a status of 4")
    change()
    page.goto(f"/support/{SLUG}?lang=en")
    page.get_by_label("Other amount").fill("7")
    change(frequencies=[ONCE, MONTHLY | {"presets": [2500], "default": 2500, "minimum": 2000}])
    page.locator("[data-continue]").click()
    expect(page.locator("#amount-complaint")).to_contain_text("The minimum is $20.")
    expect(page.locator("[data-continue]")).to_have_text("Continue")
    page.get_by_label("Other amount").fill("20")
    expect(page.locator("[data-continue]")).to_have_text("Continue – $20 a month")
    page.locator("[data-continue]").click()
    expect(page.get_by_role("button", name="Pay $20 a month")).to_be_visible()

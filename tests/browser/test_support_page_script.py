"""The support page with scripts: the same form, which states the amount and explains errors."""

import re
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import NewPage
from tests.browser.live_server import LiveServer, pledge_id_from_url
from tests.browser.network import SUPPORT_SCRIPT, record_requests

PAGE = "/support/upgraded"
LAYOUT_SHIFT_JS = """() => new Promise((resolve) => {
  let total = 0;
  new PerformanceObserver((list) => { for (const { value } of list.getEntries()) total += value })
    .observe({ type: "layout-shift", buffered: true });
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => resolve(total), 100)));
})"""


@pytest.fixture(scope="module")
def campaign(live_server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Create a campaign with fees that readers may cover."""
    live_server.apply_campaign(
        tmp_path_factory.mktemp("upgraded"), slug="upgraded", cover_fees={"basis_points": 290, "fixed": 30}
    )


def button(page: Page) -> Locator:
    return page.locator("[data-continue]")


def choose(page: Page, name: str) -> None:
    """Check the visible radio button with this label."""
    page.get_by_role("radio", name=name, exact=True).check()


def other_amount(page: Page) -> Locator:
    return page.get_by_label("Other amount")


@pytest.fixture
def support(page: Page, campaign: None) -> Page:
    page.goto(PAGE)
    expect(button(page)).to_have_text("Continue – $7 a month")
    return page


def test_button_states_the_chosen_amount(support: Page) -> None:
    choose(support, "$15")
    expect(button(support)).to_have_text("Continue – $15 a month")
    choose(support, "Annual")
    expect(button(support)).to_have_text("Continue – $50 a year")
    expect(support.get_by_role("radio", name="$15", exact=True)).to_have_count(0)
    other_amount(support).fill("12.50")
    expect(button(support)).to_have_text("Continue – $12.50 a year")
    choose(support, "Once")
    expect(button(support)).to_have_text("Continue – $12.50 once")
    # An amount that cannot be read is not stated.
    other_amount(support).fill("twelve")
    expect(button(support)).to_have_text("Continue")


def test_preset_replaces_a_typed_amount(support: Page) -> None:
    other_amount(support).fill("3")
    choose(support, "$15")
    expect(other_amount(support)).to_have_value("")
    expect(button(support)).to_have_text("Continue – $15 a month")


def test_fees_follow_the_amount(support: Page) -> None:
    fees = support.locator("#fees-hint p[data-for=monthly]")
    before = fees.text_content()
    assert "$15" in before
    other_amount(support).fill("10")
    expect(fees).to_contain_text(re.compile(r"\$0\.61 .*\$10"))
    expect(fees).not_to_contain_text("$15")
    support.get_by_role("checkbox").check()
    expect(button(support)).to_have_text("Continue – $10.61 a month")
    other_amount(support).fill("")
    expect(button(support)).to_have_text("Continue – $7.52 a month")
    expect(fees).to_contain_text(re.compile(r"\$0\.52 .*\$7"))


def test_form_sends_what_it_states(live_server: LiveServer, support: Page) -> None:
    sent = record_requests(support, "/support/upgraded?lang=en")
    choose(support, "Annual")
    other_amount(support).fill("30")
    support.get_by_role("checkbox").check()
    expect(button(support)).to_have_text("Continue – $31.21 a year")
    button(support).click()
    expect(support).to_have_url(re.compile("/sandbox/"))
    [request] = sent.wait_for(1)
    fields = parse_qs(request.post_data, keep_blank_values=True)
    key, allowed = fields.pop("key"), fields.pop("allowed")
    assert key
    assert allowed
    assert fields == {
        "currency": ["USD"],
        "frequency": ["annual"],
        "preset_once": ["1500"],
        "preset_monthly": ["700"],
        "preset_annual": ["5000"],
        "other_amount": ["30"],
        "cover_fees": ["yes"],
    }
    support.get_by_role("button", name="Pay $31.21 a year").click()
    row = live_server.export()[pledge_id_from_url(support.url)]
    assert (row["status"], row["amount"], row["variant"]) == ("active", "30.00", "support-page")


@pytest.mark.parametrize("typed", ["1.000", "seven", "7.555"])
def test_wrong_amount_is_explained_at_its_field_and_not_sent(support: Page, typed: str) -> None:
    sent = record_requests(support, "/support/upgraded?lang=en")
    field, complaint = other_amount(support), support.locator("#amount-complaint")
    field.fill(typed)
    field.press("Enter")
    expect(complaint).to_have_text(re.compile(r"\w"))
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(re.compile(f"^{re.escape(complaint.text_content())}"))
    assert sent == []
    # Correcting it clears the error, and the field keeps its hint.
    field.fill("7.50")
    expect(complaint).to_have_count(0)
    expect(field).not_to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(re.compile("7.50"))
    field.press("Enter")
    expect(support).to_have_url(re.compile("/sandbox/"))


@pytest.mark.parametrize(("typed", "message"), [("0.5", "The minimum is $2."), ("1000000", "The most you")])
def test_service_explains_an_amount_outside_its_limits(support: Page, typed: str, message: str) -> None:
    other_amount(support).fill(typed)
    other_amount(support).press("Enter")
    expect(support.locator("#amount-complaint")).to_contain_text(message)
    expect(other_amount(support)).to_have_value(typed)


def test_correction_clears_an_error_of_the_service(support: Page) -> None:
    # The script is new to this answer of the service, which has the error already.
    support.route(SUPPORT_SCRIPT, lambda route: route.abort(), times=1)
    support.reload()
    other_amount(support).fill("1")
    button(support).click()
    expect(support.locator("#amount-complaint")).to_have_count(1)
    expect(button(support)).to_have_text("Continue")
    other_amount(support).fill("1.50")
    expect(support.locator("#amount-complaint")).to_have_count(0)
    # The preset is checked already, and the typed amount would replace it.
    support.get_by_role("radio", name="$7", exact=True).click()
    expect(button(support)).to_have_text("Continue – $7 a month")


def test_page_does_not_move_when_the_script_runs(support: Page) -> None:
    assert support.evaluate(LAYOUT_SHIFT_JS) == 0
    support.set_viewport_size({"width": 320, "height": 700})
    support.reload()
    expect(button(support)).to_have_text("Continue – $7 a month")
    assert support.evaluate(LAYOUT_SHIFT_JS) == 0


def test_page_is_complete_if_the_script_is_blocked(live_server: LiveServer, page: Page, campaign: None) -> None:
    page.route(SUPPORT_SCRIPT, lambda route: route.abort())
    page.goto(PAGE)
    expect(button(page)).to_have_text("Continue")
    choose(page, "Annual")
    other_amount(page).fill("1.000")
    button(page).click()
    expect(page.locator("#amount-complaint")).to_have_text(re.compile(r"\w"))
    other_amount(page).fill("30")
    button(page).click()
    expect(page.get_by_role("button", name="Pay $30 a year")).to_be_visible()


def test_amount_in_another_notation_is_offered_as_a_button(support: Page) -> None:
    choose(support, "Once")
    other_amount(support).fill("12,50")
    expect(button(support)).to_have_text("Continue")
    button(support).click()
    expect(support.locator("#amount-complaint")).to_contain_text("Did you mean $12.50?")
    support.get_by_role("button", name="Use $12.50").click()
    expect(other_amount(support)).to_have_value("12.50")
    expect(support.locator("#amount-complaint")).to_have_count(0)
    expect(button(support)).to_have_text("Continue – $12.50 once")
    expect(button(support)).to_be_focused()


def test_suggestion_of_the_service_works_after_the_script_has_started(
    live_server: LiveServer, page: Page, campaign: None
) -> None:
    page.route(SUPPORT_SCRIPT, lambda route: route.abort(), times=1)
    page.goto(PAGE)
    expect(button(page)).to_have_text("Continue")
    choose(page, "Annual")
    other_amount(page).fill("30,50")
    button(page).click()
    page.get_by_role("button", name="Use $30.50").click()
    expect(page.get_by_role("button", name="Pay $30.50 a year")).to_be_visible()


def test_reminder_keeps_the_choice(live_server: LiveServer, support: Page) -> None:
    choose(support, "Once")
    other_amount(support).fill("12.50")
    support.get_by_text("Not ready to support today?").click()
    sent = record_requests(support, "/support/upgraded/reminder?lang=en")
    support.locator("#email").fill("upgraded@example.org")
    support.get_by_role("button", name="Remind me next month").click()
    expect(support.get_by_role("heading", level=1)).to_have_text("Thank you! Your reminder is set.")
    [request] = sent.wait_for(1)
    fields = parse_qs(request.post_data)
    assert (fields["frequency"], fields["amount"], fields["currency"]) == (["once"], ["1250"], ["USD"])


def test_page_in_russian_reads_and_writes_russian_amounts(
    live_server: LiveServer, new_page: NewPage, campaign: None
) -> None:
    page = new_page(locale="ru-RU")
    page.goto(PAGE)
    expect(button(page)).to_have_text(re.compile(r"^Продолжить\s—\s7\s\$\sв\sмесяц$"))
    page.locator("#amount").fill("12,5")
    expect(button(page)).to_have_text(re.compile(r"^Продолжить\s—\s12,50\s\$\sв\sмесяц$"))


def test_yen_have_no_decimals(live_server: LiveServer, page: Page, tmp_path: Path) -> None:
    option = {"frequency": "once", "presets": [500], "minimum": 100, "maximum": 100000}
    live_server.apply_campaign(tmp_path, slug="upgraded-yen", currency="JPY", frequencies=[option])
    page.goto("/support/upgraded-yen")
    expect(button(page)).to_have_text("Continue – ¥500 once")
    other_amount(page).fill("7.5")
    button(page).click()
    expect(page.locator("#amount-complaint")).to_have_text("Enter a whole amount, such as 500.")
    other_amount(page).fill("1200")
    expect(button(page)).to_have_text("Continue – ¥1,200 once")


def test_closed_campaign_has_no_script(live_server: LiveServer, page: Page, tmp_path: Path) -> None:
    live_server.apply_campaign(tmp_path, slug="upgraded-closed")
    live_server.run_command("campaign", "close", "upgraded-closed")
    page.goto("/support/upgraded-closed")
    expect(page.locator("script")).to_have_count(0)

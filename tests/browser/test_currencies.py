"""The box of a campaign with several currencies and fees that a reader may cover."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.accessibility import check_page
from tests.browser.host_site import HostSite
from tests.browser.live_server import LiveServer, pledge_id_from_url
from tests.browser.network import PLEDGES, fail_requests
from tests.browser.support_box import SupportBox
from tests.browser.three_currencies import CAMPAIGN_ATTRIBUTE, CAMPAIGN_FILE, DINAR, EURO, YEN

THANK_YOU_URL = re.compile("/thank-you")


def options(box: SupportBox, name: str) -> list[str]:
    """Return the labels of a group's options."""
    tiles = box.host.get_by_role("group", name=name).locator("[part=option]")
    return [label.replace("\u00a0", " ") for label in tiles.all_inner_texts()]


def test_currency_shows_its_own_frequencies_and_amounts(box: SupportBox) -> None:
    expect(box.currency.locator("option")).to_have_text([EURO, YEN, DINAR])
    assert (options(box, "How often"), options(box, "Amount")) == (
        ["Once", "Monthly", "Annual"],
        ["€3", "€7", "€15"],
    )
    box.currency.select_option(YEN)
    assert options(box, "How often") == ["Once", "Monthly"]
    assert options(box, "Amount") == ["¥300", "¥700", "¥1,500"]
    expect(box.monthly).to_be_checked()
    expect(box.status_message).to_be_empty()
    expect(box.continue_button).to_have_text("Continue – ¥700 a month")
    box.currency.select_option(EURO)
    expect(box.continue_button).to_have_text("Continue – €7 a month")


def test_unavailable_frequency_changes_to_the_nearest_with_a_message(
    box: SupportBox,
) -> None:
    box.annual.check()
    box.currency.focus()
    box.currency.select_option(YEN)
    expect(box.monthly).to_be_checked()
    expect(box.status_message).to_have_text("“Annual” isn’t available in JPY, so we’ve chosen “Monthly”.")
    expect(box.currency).to_be_focused()
    box.currency.select_option(DINAR)
    expect(box.once).to_be_checked()
    expect(box.status_message).to_have_text("“Monthly” isn’t available in KWD, so we’ve chosen “Once”.")
    expect(box.continue_button).to_have_text("Continue – KWD 5 once")
    box.other_amount.fill("7")
    expect(box.status_message).to_be_empty()


def test_pledge_in_yen_is_exported_in_yen(live_server: LiveServer, box: SupportBox) -> None:
    box.currency.select_option(YEN)
    box.other_amount.fill("1200")
    box.once.check()
    expect(box.continue_button).to_have_text("Continue – ¥1,200 once")
    box.continue_button.click()
    box.page.get_by_role("button", name="Pay ¥1,200 once").click()
    expect(box.page).to_have_url(THANK_YOU_URL)
    row = live_server.export()[pledge_id_from_url(box.page.url)]
    assert (row["status"], row["amount"], row["amount_minor"], row["currency"]) == (
        "completed",
        "1200",
        "1200",
        "JPY",
    )


@pytest.mark.parametrize(
    ("currency", "typed", "message"),
    [
        (YEN, "7.50", "Enter a whole amount, such as 500."),
        (YEN, "299", "The minimum is ¥300."),
        (EURO, "2.99", "The minimum is €3."),
        (DINAR, "1.2555", "Enter at most 3 decimals, such as 7.500."),
        (DINAR, "0.49", "The minimum is KWD 0.500."),
    ],
    ids=[
        "fraction of a yen",
        "yen below minimum",
        "euros below minimum",
        "too many decimals of a dinar",
        "dinars below minimum",
    ],
)
def test_amount_is_validated_in_its_currency(box: SupportBox, currency: str, typed: str, message: str) -> None:
    box.currency.select_option(currency)
    box.once.check()
    box.other_amount.fill(typed)
    expect(box.continue_button).to_have_text("Continue")
    box.continue_button.click()
    box.expect_state("invalid")
    expect(box.error).to_have_text(message)
    expect(box.other_amount).to_be_focused()


def test_three_decimal_currency_is_exact_from_box_to_export(live_server: LiveServer, box: SupportBox) -> None:
    box.currency.select_option(DINAR)
    box.once.check()
    box.other_amount.fill("1.25")
    expect(box.continue_button).to_have_text("Continue – KWD 1.250 once")
    box.continue_button.click()
    box.page.get_by_role("button", name="Pay").click()
    expect(box.page).to_have_url(THANK_YOU_URL)
    row = live_server.export()[pledge_id_from_url(box.page.url)]
    assert (row["amount"], row["amount_minor"], row["currency"]) == ("1.250", "1250", "KWD")


def test_currency_and_fees_with_keyboard_only(box: SupportBox) -> None:
    keyboard = box.page.keyboard
    box.monthly.focus()
    for _ in range(2):
        keyboard.press("Tab")
    expect(box.currency).to_be_focused()
    keyboard.type("J")
    expect(box.continue_button).to_have_text("Continue – ¥700 a month")
    keyboard.press("Tab")
    expect(box.other_amount).to_be_focused()
    keyboard.type("1000")
    keyboard.press("Tab")
    keyboard.press("Space")
    expect(box.fees).to_be_checked()
    expect(box.continue_button).to_have_text("Continue – ¥1,038 a month")
    keyboard.press("Enter")
    expect(box.page.get_by_role("button", name="Pay ¥1,038")).to_be_visible()


def test_back_keeps_currency_and_fee_choice(box: SupportBox) -> None:
    box.currency.select_option(YEN)
    box.other_amount.fill("1000")
    box.fees.check()
    box.not_ready.click()
    box.back.click()
    expect(box.currency).to_have_value(YEN)
    expect(box.fees).to_be_checked()
    expect(box.continue_button).to_have_text("Continue – ¥1,038 a month")


def test_russian_box_formats_and_parses_euros(host_site: HostSite, box: SupportBox) -> None:
    box.page.goto(host_site.show(CAMPAIGN_ATTRIBUTE, lang="ru"))
    box.expect_state("form")
    box.host.get_by_role("radio", name="Ежегодно").check()
    box.host.get_by_role("combobox", name="Валюта").select_option("JPY – японская иена")
    expect(box.status_message).to_have_text("«Ежегодно» недоступно в валюте JPY, поэтому выбрано «Ежемесячно».")
    box.host.get_by_role("combobox", name="Валюта").select_option("EUR – евро")
    box.host.get_by_label("Другая сумма").fill("7,50")
    expect(box.fees).to_have_accessible_name(re.compile(r"Добавить 0,37\s€, чтобы оплатить комиссию"))
    box.fees.check()
    expect(box.submit).to_have_text("Продолжить — 7,87 € в месяц")


@pytest.mark.parametrize("lang", ["en", "ru"])
def test_currencies_and_fees_are_accessible(host_site: HostSite, box: SupportBox, lang: str) -> None:
    fail_requests(box.page, PLEDGES, 503, retry_after=600, code="payments_unavailable")
    box.page.goto(host_site.show(CAMPAIGN_ATTRIBUTE, lang=lang, is_strict=False))
    box.expect_state("form")
    check_page(box.page, "several currencies")
    box.fees.check()
    box.host.locator("[value=annual]").check()
    box.host.locator("select").select_option(index=1)
    expect(box.status_message).not_to_be_empty()
    check_page(box.page, "another frequency")
    box.submit.click()
    box.expect_state("error")
    check_page(box.page, "no payments")


def test_single_currency_campaign_sends_no_english_texts(live_server: LiveServer) -> None:
    live_server.run_command("campaign", "apply", str(CAMPAIGN_FILE))
    assert json.loads(live_server.get_html("/v1/campaigns/default"))["texts"] == {}
    assert json.loads(live_server.get_html("/v1/campaigns/three-currencies"))["texts"]["currency"] == "Currency"

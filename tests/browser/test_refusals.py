"""The service refuses what the box sent: readers read it in their own language, and newsrooms in the console."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.host_site import HostSite
from tests.browser.live_server import LiveServer, pledge_in
from tests.browser.network import PLEDGES, REMINDERS, RecordedRequests, fail_requests, record_requests
from tests.browser.support_box import SupportBox

OPERATORS = "A sentence for operators."
UNEXPECTED = "У нас что-то сломалось. Пожалуйста, попробуйте ещё раз."
NOT_CHARGED = "Деньги не списаны."


@pytest.fixture
def russian(host_site: HostSite, page: Page) -> SupportBox:
    """Return the box as a Russian article holds it."""
    page.goto(host_site.show(lang="ru"))
    box = SupportBox(page)
    box.expect_state("form")
    return box


def no(code: str, field: str = "") -> dict[str, Any]:
    """Return a problem as the service writes it, whoever reads it."""
    return {"code": code, "detail": OPERATORS, "errors": {field: [OPERATORS]} if field else {}}


def open_reminder(box: SupportBox) -> None:
    box.host.get_by_role("button", name="Попросите напомнить позже").click()
    box.host.get_by_label("Адрес электронной почты").fill("reader@example.org")


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("amount_below_minimum", "Наименьшая сумма, которую мы можем принять, — 2 $."),
        ("amount_above_maximum", "Наибольшая сумма, которую можно внести здесь, — 10 000 $."),
    ],
)
def test_a_refused_amount_is_explained_at_its_field_in_the_readers_language(
    russian: SupportBox, code: str, complaint: str
) -> None:
    fail_requests(russian.page, PLEDGES, 422, **no(code, "amount"))
    amount = russian.host.get_by_label("Другая сумма")
    amount.fill("5")
    russian.submit.click()
    russian.expect_state("invalid")
    expect(russian.error).to_have_text(complaint)
    expect(amount).to_be_focused()
    expect(amount).to_have_value("5")


@pytest.mark.parametrize("code", ["invalid_email", "validation_failed"])
def test_a_refused_address_is_explained_at_its_field_in_the_readers_language(
    russian: SupportBox, code: str
) -> None:
    fail_requests(russian.page, REMINDERS, 422, **no(code, "email"))
    open_reminder(russian)
    russian.submit.click()
    russian.expect_state("invalid")
    expect(russian.error).to_have_text("Укажите адрес целиком, например name@example.org.")


@pytest.mark.parametrize(
    ("status", "code", "field"),
    [
        (404, "campaign_not_found", ""),
        (403, "origin_not_allowed", ""),
        (422, "currency_not_accepted", "currency"),
        (422, "frequency_not_offered", "frequency"),
        (422, "validation_failed", "variant"),
    ],
)
def test_what_no_field_can_mend_is_told_without_the_services_words_and_can_be_tried_again(
    russian: SupportBox, status: int, code: str, field: str
) -> None:
    fail_requests(russian.page, PLEDGES, status, **no(code, field))
    russian.submit.click()
    russian.expect_state("error")
    expect(russian.host.get_by_role("status")).to_have_text(f"{UNEXPECTED} {NOT_CHARGED}")
    expect(russian.host).not_to_contain_text(OPERATORS)
    russian.host.get_by_role("button", name="Попробовать ещё раз").click()
    expect(russian.page.get_by_role("button", name="7")).to_be_visible()


def test_a_reminder_that_is_not_offered_is_told_without_the_services_words(russian: SupportBox) -> None:
    fail_requests(russian.page, REMINDERS, 422, **no("reminder_choice_not_offered", "months"))
    open_reminder(russian)
    russian.submit.click()
    russian.expect_state("error")
    expect(russian.host.get_by_role("status")).to_have_text(UNEXPECTED)
    russian.host.get_by_role("button", name="Попробовать ещё раз").click()
    russian.expect_state("reminder-set")


@pytest.mark.parametrize(
    ("return_url", "tries"),
    [("https://[", 1), ("mailto:desk@example.org", 2), ("https://elsewhere.example/thanks", 2)],
    ids=["malformed", "no web address", "host not listed"],
)
def test_a_return_url_that_cannot_be_used_is_told_to_the_newsroom_and_costs_no_gift(
    live_server: LiveServer,
    host_site: HostSite,
    page: Page,
    tmp_path: Path,
    expected_console_errors: list[str],
    return_url: str,
    tries: int,
) -> None:
    expected_console_errors.append("goes without return-url")
    warnings: RecordedRequests[str] = RecordedRequests(page)
    page.on("console", lambda message: warnings.append(message.text) if message.type == "warning" else None)
    sent = record_requests(page, "/v1/pledges")
    live_server.offer(tmp_path, slug="mistaken", return_hosts=["127.0.0.1"])
    page.goto(host_site.show(f'campaign="mistaken" return-url="{return_url}"'))
    box = SupportBox(page)
    box.expect_state("form")
    before = live_server.count("pledges")
    box.choose("Once", "5")
    box.continue_button.click()
    page.get_by_role("button", name="Pay $5 once").click()
    expect(page.get_by_text("You gave The Harbour Lantern $5.")).to_be_visible()
    assert live_server.export()[pledge_in(page.url)]["status"] == "completed"
    assert (len(sent.wait_for(tries)), live_server.count("pledges") - before) == (tries, 1)
    [warning] = warnings.wait_for(1)
    assert f'return-url="{return_url}"' in warning

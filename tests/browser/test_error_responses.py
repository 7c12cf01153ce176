"""Error responses in the box: translated for readers, and logged to the console for newsrooms."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from schemas.translations import load_texts
from tests.browser.host_site import HostSite
from tests.browser.live_server import LiveServer, pledge_id_from_url
from tests.browser.network import (
    CAMPAIGN,
    CORS_HEADERS,
    PLEDGES,
    REMINDERS,
    RecordedRequests,
    fail_requests,
    record_requests,
)
from tests.browser.support_box import SupportBox

OPERATOR_DETAIL = "A sentence for operators."
RUSSIAN = load_texts("widget", "ru")
UNEXPECTED = RUSSIAN["error_unexpected"]
NOT_CHARGED = RUSSIAN["error_not_charged"]


@pytest.fixture
def russian_box(host_site: HostSite, page: Page) -> SupportBox:
    """Return the box on a Russian page."""
    page.goto(host_site.show(lang="ru"))
    box = SupportBox(page, "ru")
    box.expect_state("form")
    return box


def problem(code: str, field: str = "") -> dict[str, Any]:
    """Return the fields of a problem response."""
    return {"code": code, "detail": OPERATOR_DETAIL, "errors": {field: [OPERATOR_DETAIL]} if field else {}}


def answer_next(page: Page, url: str, status: int, body: str) -> None:
    """Answer the next request to a URL pattern with JSON that the service never sends, as a proxy may."""
    response = {"status": status, "headers": CORS_HEADERS, "content_type": "application/json", "body": body}
    page.route(url, lambda route: route.fulfill(**response), times=1)


def open_reminder(box: SupportBox) -> None:
    box.not_ready.click()
    box.email.fill("reader@example.org")


@pytest.mark.parametrize("code", ["invalid_email", "validation_failed"])
def test_rejected_address_is_explained_in_the_page_language(russian_box: SupportBox, code: str) -> None:
    fail_requests(russian_box.page, REMINDERS, 422, **problem(code, "email"))
    open_reminder(russian_box)
    russian_box.submit.click()
    russian_box.expect_state("invalid")
    expect(russian_box.error).to_have_text("Введите адрес вида name@example.org.")


@pytest.mark.parametrize(
    ("status", "code", "field"),
    [
        (404, "campaign_not_found", ""),
        (403, "origin_not_allowed", ""),
        (422, "currency_not_accepted", "currency"),
        (422, "frequency_not_offered", "frequency"),
        (422, "amount_below_minimum", "amount"),
        (422, "amount_above_maximum", "amount"),
        (422, "validation_failed", "variant"),
    ],
)
def test_unexpected_pledge_problem_hides_detail_and_allows_retry(
    russian_box: SupportBox, status: int, code: str, field: str
) -> None:
    fail_requests(russian_box.page, PLEDGES, status, **problem(code, field))
    russian_box.submit.click()
    russian_box.expect_state("error")
    expect(russian_box.host.get_by_role("status")).to_have_text(f"{UNEXPECTED} {NOT_CHARGED}")
    expect(russian_box.host).not_to_contain_text(OPERATOR_DETAIL)
    russian_box.retry.click()
    expect(russian_box.page.get_by_role("button", name="7")).to_be_visible()


def test_unexpected_reminder_problem_hides_detail_and_allows_retry(russian_box: SupportBox) -> None:
    fail_requests(russian_box.page, REMINDERS, 422, **problem("reminder_choice_not_offered", "months"))
    open_reminder(russian_box)
    russian_box.submit.click()
    russian_box.expect_state("error")
    expect(russian_box.host.get_by_role("status")).to_have_text(UNEXPECTED)
    russian_box.retry.click()
    russian_box.expect_state("reminder-set")


@pytest.mark.parametrize("body", ["null", "{}", "7"])
@pytest.mark.parametrize("status", [200, 502])
def test_campaign_that_is_none_leaves_the_link_and_allows_retry(
    host_site: HostSite, page: Page, body: str, status: int
) -> None:
    answer_next(page, CAMPAIGN, status, body)
    page.goto(host_site.show())
    box = SupportBox(page)
    box.expect_state("error")
    expect(box.link).to_be_visible()
    box.retry.click()
    box.expect_state("form")


@pytest.mark.parametrize("body", ["null", "{}", "7"])
@pytest.mark.parametrize("status", [201, 502])
def test_pledge_without_a_checkout_is_an_error(host_site: HostSite, page: Page, body: str, status: int) -> None:
    page.goto(host_site.show())
    box = SupportBox(page)
    box.expect_state("form")
    answer_next(page, PLEDGES, status, body)
    box.continue_button.click()
    box.expect_state("error")
    box.retry.click()
    page.wait_for_url("**/sandbox/**")


@pytest.mark.parametrize("body", ["null", "{}"])
def test_reminder_without_a_date_is_an_error(host_site: HostSite, page: Page, body: str) -> None:
    page.goto(host_site.show())
    box = SupportBox(page)
    box.expect_state("form")
    open_reminder(box)
    answer_next(page, REMINDERS, 201, body)
    box.submit.click()
    box.expect_state("error")
    box.retry.click()
    box.expect_state("reminder-set")


def test_page_with_a_very_long_address_takes_support(host_site: HostSite, page: Page) -> None:
    page.goto(f"{host_site.show()}/{'%D0%B9' * 400}")
    box = SupportBox(page)
    box.expect_state("form")
    box.continue_button.click()
    page.wait_for_url("**/sandbox/**")


def test_unusable_variant_warns_in_console_and_keeps_the_pledge(
    live_server: LiveServer, host_site: HostSite, page: Page, expected_console_errors: list[str]
) -> None:
    expected_console_errors.append("goes without variant")
    warnings: RecordedRequests[str] = RecordedRequests(page)
    page.on("console", lambda message: warnings.append(message.text) if message.type == "warning" else None)
    page.goto(host_site.show('variant="x;=1+1;y"'))
    box = SupportBox(page)
    box.expect_state("form")
    box.choose("Once", "5")
    box.continue_button.click()
    page.get_by_role("button", name="Pay $5 once").click()
    expect(page.get_by_text("You’ve given The Harbour Lantern $5.")).to_be_visible()
    row = live_server.export()[pledge_id_from_url(page.url)]
    assert (row["status"], row["variant"]) == ("completed", "")
    [warning] = warnings.wait_for(1)
    assert 'variant="x;=1+1;y"' in warning


@pytest.mark.parametrize(
    ("return_url", "requests"),
    [("https://[", 1), ("mailto:desk@example.org", 2), ("https://elsewhere.example/thanks", 2)],
    ids=["malformed", "not a web URL", "host not listed"],
)
def test_unusable_return_url_warns_in_console_and_keeps_the_pledge(
    live_server: LiveServer,
    host_site: HostSite,
    page: Page,
    tmp_path: Path,
    expected_console_errors: list[str],
    return_url: str,
    requests: int,
) -> None:
    expected_console_errors.append("goes without return-url")
    warnings: RecordedRequests[str] = RecordedRequests(page)
    page.on("console", lambda message: warnings.append(message.text) if message.type == "warning" else None)
    sent = record_requests(page, "/v1/pledges")
    live_server.apply_campaign(tmp_path, slug="mistaken", return_hosts=["127.0.0.1"])
    page.goto(host_site.show(f'campaign="mistaken" return-url="{return_url}"'))
    box = SupportBox(page)
    box.expect_state("form")
    before = live_server.count("pledges")
    box.choose("Once", "5")
    box.continue_button.click()
    page.get_by_role("button", name="Pay $5 once").click()
    expect(page.get_by_text("You’ve given The Harbour Lantern $5.")).to_be_visible()
    assert live_server.export()[pledge_id_from_url(page.url)]["status"] == "completed"
    assert (len(sent.wait_for(requests)), live_server.count("pledges") - before) == (requests, 1)
    [warning] = warnings.wait_for(1)
    assert f'return-url="{return_url}"' in warning

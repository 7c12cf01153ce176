"""Every state of the support box, each with a function that opens it."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Route, expect

from tests.browser.network import (
    CAMPAIGN,
    CHECKOUT_PART,
    PLEDGES,
    REMINDER_PART,
    REMINDERS,
    fail_requests,
    pause_requests,
)
from tests.browser.support_box import SupportBox

OpenState = Callable[[SupportBox], None]


def change_campaign(box: SupportBox, **changes: Any) -> None:
    """Change what the service answers about the campaign from now on."""

    def answer(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, json=response.json() | changes)

    box.page.route(CAMPAIGN, answer)


def loading(box: SupportBox) -> None:
    pause_requests(box.page, CAMPAIGN)
    box.page.reload()


def loading_failed(box: SupportBox) -> None:
    fail_requests(box.page, CAMPAIGN, 503, retry_after=600)
    box.page.reload()


def form(box: SupportBox) -> None:
    box.other_amount.fill("2.50")


def invalid(box: SupportBox) -> None:
    box.other_amount.fill("1.000")
    box.continue_button.click()


def suggested(box: SupportBox) -> None:
    box.other_amount.fill("12,50")
    box.continue_button.click()


def submitting(box: SupportBox) -> None:
    pause_requests(box.page, PLEDGES)
    box.continue_button.click()


def error(box: SupportBox) -> None:
    fail_requests(box.page, PLEDGES, 500)
    box.continue_button.click()


def rate_limited(box: SupportBox) -> None:
    fail_requests(box.page, PLEDGES, 429, retry_after=600)
    box.continue_button.click()


def payments_unavailable(box: SupportBox) -> None:
    fail_requests(box.page, PLEDGES, 503, retry_after=600, code="payments_unavailable")
    box.continue_button.click()


def checkout_not_loaded(box: SupportBox) -> None:
    box.page.route(CHECKOUT_PART, lambda route: route.abort())
    box.continue_button.click()


def reminder_form(box: SupportBox) -> None:
    box.not_ready.click()
    box.email.fill("reader@example.org")


def reminder_not_loaded(box: SupportBox) -> None:
    box.page.route(REMINDER_PART, lambda route: route.abort())
    box.not_ready.click()


def calendar_saved(box: SupportBox) -> None:
    reminder_form(box)
    box.calendar.click()


def reminder_invalid(box: SupportBox) -> None:
    box.not_ready.click()
    box.remind.click()


def reminder_submitting(box: SupportBox) -> None:
    pause_requests(box.page, REMINDERS)
    reminder_form(box)
    box.remind.click()


def reminder_set(box: SupportBox) -> None:
    reminder_form(box)
    box.remind.click()


def address_to_change(box: SupportBox) -> None:
    reminder_set(box)
    box.change_address.click()


def dismissed(box: SupportBox) -> None:
    box.close.click()


def undone(box: SupportBox) -> None:
    box.close.click()
    box.undo.click()


def read_more(box: SupportBox) -> None:
    box.page.set_viewport_size({"width": 320, "height": 800})
    box.page.reload()
    box.expect_state("form")
    summary = box.host.locator("summary")
    summary.click()
    expect(box.host.locator("details")).to_have_attribute("open", "")


def impact(box: SupportBox) -> None:
    change_campaign(box, impact={"monthly": {"700": "$7 pays for one records request"}})
    box.page.reload()
    expect(box.status_message).to_have_text("$7 pays for one records request")


def changed_offer(box: SupportBox) -> None:
    change_campaign(box, default_frequency="once")
    fail_requests(box.page, PLEDGES, 422, code="frequency_not_offered")
    box.continue_button.click()
    expect(box.notice).not_to_be_empty()


def other_page(box: SupportBox) -> None:
    fail_requests(box.page, PLEDGES, 403, code="origin_not_allowed")
    fail_requests(box.page, CAMPAIGN, 403, code="origin_not_allowed")
    box.continue_button.click()
    box.expect_state("error")


def closed(box: SupportBox) -> None:
    change_campaign(box, closed=True, reminder={"enabled": False, "options": [{}]})
    box.page.reload()
    expect(box.submit).to_have_count(0)


def currencies_and_fees(box: SupportBox) -> None:
    set_attribute(box, "campaign", "three-currencies")
    box.fees.check()


def set_attribute(box: SupportBox, name: str, value: str = "") -> None:
    """Set an attribute of the box, which follows it while it is live."""
    box.host.evaluate("(box, [name, value]) => box.setAttribute(name, value)", [name, value])


def banner(box: SupportBox) -> None:
    set_attribute(box, "placement", "banner")
    expect(box.expand).to_be_visible()


def banner_opened(box: SupportBox) -> None:
    banner(box)
    box.expand.click()
    expect(box.expand).to_have_count(0)


def banner_dismissed(box: SupportBox) -> None:
    banner(box)
    box.close.click()


def dialog(box: SupportBox) -> None:
    set_attribute(box, "placement", "dialog")
    expect(box.host).to_be_hidden()
    box.host.evaluate("(box) => box.open()")
    expect(box.dialog).to_be_visible()


def dialog_dismissed(box: SupportBox) -> None:
    dialog(box)
    box.page.keyboard.press("Escape")


def compact(box: SupportBox) -> None:
    set_attribute(box, "compact")
    expect(box.host.locator("[part=body] > [part=message]").first).to_be_hidden()


STATES = [
    (loading, "loading"),
    (loading_failed, "error"),
    (form, "form"),
    (invalid, "invalid"),
    (suggested, "invalid"),
    (submitting, "submitting"),
    (error, "error"),
    (rate_limited, "error"),
    (payments_unavailable, "error"),
    (checkout_not_loaded, "error"),
    (reminder_not_loaded, "error"),
    (reminder_form, "reminder-form"),
    (calendar_saved, "reminder-form"),
    (reminder_invalid, "invalid"),
    (reminder_submitting, "submitting"),
    (reminder_set, "reminder-set"),
    (address_to_change, "reminder-form"),
    (dismissed, "dismissed"),
    (banner, "form"),
    (banner_opened, "form"),
    (banner_dismissed, "dismissed"),
    (dialog, "form"),
    (dialog_dismissed, "dismissed"),
    (compact, "form"),
    (undone, "form"),
    (read_more, "form"),
    (impact, "form"),
    (changed_offer, "form"),
    (other_page, "error"),
    (closed, "form"),
    (currencies_and_fees, "form"),
]

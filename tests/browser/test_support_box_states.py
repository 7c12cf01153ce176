"""The accessibility of every state of the support box."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.browser.accessibility import check_page
from tests.browser.host_site import HostSite
from tests.browser.network import CAMPAIGN, PLEDGES, REMINDERS, fail_requests, pause_requests
from tests.browser.support_box import SupportBox

OpenState = Callable[[SupportBox], None]


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


def submitting(box: SupportBox) -> None:
    pause_requests(box.page, PLEDGES)
    box.continue_button.click()


def error(box: SupportBox) -> None:
    fail_requests(box.page, PLEDGES, 500)
    box.continue_button.click()


def rate_limited(box: SupportBox) -> None:
    fail_requests(box.page, PLEDGES, 429, retry_after=600)
    box.continue_button.click()


def reminder_form(box: SupportBox) -> None:
    box.not_ready.click()
    box.email.fill("reader@example.org")


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


def dismissed(box: SupportBox) -> None:
    box.close.click()


STATES = [
    (loading, "loading"),
    (loading_failed, "error"),
    (form, "form"),
    (invalid, "invalid"),
    (submitting, "submitting"),
    (error, "error"),
    (rate_limited, "error"),
    (reminder_form, "reminder-form"),
    (reminder_invalid, "invalid"),
    (reminder_submitting, "submitting"),
    (reminder_set, "reminder-set"),
    (dismissed, "dismissed"),
]


@pytest.mark.parametrize(("open_state", "state"), STATES, ids=[open_state.__name__ for open_state, _ in STATES])
def test_box_state_is_accessible(host_site: HostSite, page: Page, open_state: OpenState, state: str) -> None:
    page.goto(host_site.show(is_strict=False))
    box = SupportBox(page)
    box.expect_state("form")
    open_state(box)
    box.expect_state(state)
    check_page(page, open_state.__name__)


def test_theme_attribute_is_accessible_in_either_colour_scheme(host_site: HostSite, page: Page) -> None:
    for theme in ("light", "dark"):
        page.goto(host_site.show(f'theme="{theme}"', is_strict=False))
        SupportBox(page).expect_state("form")
        check_page(page, theme)

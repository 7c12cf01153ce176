"""Every state of the box, held against axe-core, a phone's width and a thumb's size, light and dark."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.browser.accessibility import check_page
from tests.browser.host_site import HostSite
from tests.browser.network import CAMPAIGN, PLEDGES, REMINDERS, fail_requests, pause_requests
from tests.browser.support_box import SupportBox

Reach = Callable[[SupportBox], None]


def loading(box: SupportBox) -> None:
    pause_requests(box.page, CAMPAIGN)
    box.page.reload()


def cannot_load(box: SupportBox) -> None:
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


def waiting(box: SupportBox) -> None:
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
    (cannot_load, "error"),
    (form, "form"),
    (invalid, "invalid"),
    (submitting, "submitting"),
    (error, "error"),
    (waiting, "error"),
    (reminder_form, "reminder-form"),
    (reminder_invalid, "invalid"),
    (reminder_submitting, "submitting"),
    (reminder_set, "reminder-set"),
    (dismissed, "dismissed"),
]


@pytest.mark.parametrize(("reach", "state"), STATES, ids=[reach.__name__ for reach, _ in STATES])
def test_no_state_of_the_box_shuts_anyone_out(host_site: HostSite, page: Page, reach: Reach, state: str) -> None:
    page.goto(host_site.show(is_strict=False))
    box = SupportBox(page)
    box.expect_state("form")
    reach(box)
    box.expect_state(state)
    check_page(page, reach.__name__)


def test_a_box_that_wants_light_or_dark_is_readable_whatever_the_system_says(
    host_site: HostSite, page: Page
) -> None:
    for theme in ("light", "dark"):
        page.goto(host_site.show(f'theme="{theme}"', is_strict=False))
        SupportBox(page).expect_state("form")
        check_page(page, theme)

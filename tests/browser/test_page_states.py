"""The accessibility of every page in every state."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import check_page
from tests.browser.conftest import NewPage
from tests.browser.live_server import LiveServer
from tests.browser.support_box import NOT_READY_BUTTON, REMIND_BUTTON, SupportBox


@dataclass
class Visit:
    """A page, the service it shows, and the URL of a reminder that was sent."""

    page: Page
    live_server: LiveServer
    reminder_url: str

    def press(self, name: str) -> None:
        """Press a button that submits a form, and wait for the next page."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=name).click()

    def open_checkout(self) -> None:
        self.page.goto(self.live_server.create_pledge(str(uuid.uuid4()))["checkout_url"])


def support(visit: Visit) -> None:
    visit.page.goto("/support/default")


def support_with_reminder_form(visit: Visit) -> None:
    visit.page.goto("/support/default")
    visit.page.get_by_text(NOT_READY_BUTTON).click()


def support_with_invalid_amount(visit: Visit) -> None:
    visit.page.goto("/support/default")
    visit.page.get_by_label("Other amount").fill("1.000")
    visit.press("Continue")


def support_with_invalid_address(visit: Visit) -> None:
    support_with_reminder_form(visit)
    visit.page.get_by_label("E-mail address").fill("reader")
    visit.press(REMIND_BUTTON)


def reminder_created(visit: Visit) -> None:
    support_with_reminder_form(visit)
    visit.page.get_by_label("E-mail address").fill("tidy@example.org")
    visit.press(REMIND_BUTTON)


def checkout(visit: Visit) -> None:
    visit.open_checkout()


def checkout_with_invalid_address(visit: Visit) -> None:
    visit.open_checkout()
    visit.page.get_by_label("E-mail address").fill("reader")
    visit.press("Pay $2 a month")


def checkout_declined(visit: Visit) -> None:
    visit.open_checkout()
    visit.press("Decline")


def checkout_paid(visit: Visit) -> None:
    visit.open_checkout()
    checkout_url = visit.page.url
    visit.press("Pay $2 a month")
    visit.page.goto(checkout_url)


def checkout_expired(visit: Visit) -> None:
    visit.open_checkout()
    visit.live_server.close_checkouts()
    visit.page.reload()


def thank_you(visit: Visit) -> None:
    visit.open_checkout()
    visit.press("Pay $2 a month")


def thank_you_pending(visit: Visit) -> None:
    pledge = visit.live_server.create_pledge(str(uuid.uuid4()))
    visit.page.goto(f"/support/default/thank-you?pledge={pledge['id']}")


def thank_you_expired(visit: Visit) -> None:
    thank_you_pending(visit)
    visit.live_server.close_checkouts()
    visit.page.reload()


def reminder_sent(visit: Visit) -> None:
    visit.page.goto(visit.reminder_url)


def reminder_scheduled(visit: Visit) -> None:
    visit.page.goto(visit.reminder_url)
    visit.press(REMIND_BUTTON)


def reminder_cancelled(visit: Visit) -> None:
    reminder_scheduled(visit)
    visit.press("Cancel the reminder")


def reminder_unknown(visit: Visit) -> None:
    visit.page.goto("/r/no-such-reminder")


def demo(visit: Visit) -> None:
    visit.page.goto("/demo")
    SupportBox(visit.page).expect_state("form")


def demo_in_russian(visit: Visit) -> None:
    visit.page.goto("/demo?lang=ru")
    SupportBox(visit.page).expect_state("form")


def outbox(visit: Visit) -> None:
    visit.page.goto("/dev/outbox")


def outbox_email(visit: Visit) -> None:
    visit.page.goto(visit.live_server.emails_to("subscriber@example.org")[-1])


def docs(visit: Visit) -> None:
    visit.page.goto("/docs")


def not_found(visit: Visit) -> None:
    visit.page.goto("/no-such-page")


STATES = [
    (support, "This paper is yours to keep"),
    (support_with_reminder_form, "This paper is yours to keep"),
    (support_with_invalid_amount, "This paper is yours to keep"),
    (support_with_invalid_address, "This paper is yours to keep"),
    (reminder_created, "Thank you! Your reminder is set."),
    (checkout, "Your gift to The Harbour Lantern $2 a month"),
    (checkout_with_invalid_address, "Your gift to The Harbour Lantern $2 a month"),
    (checkout_declined, "Your gift to The Harbour Lantern $2 a month"),
    (checkout_paid, "This gift is paid"),
    (checkout_expired, "This checkout has closed"),
    (thank_you, "Thank you for standing behind us."),
    (thank_you_pending, "Your payment has not arrived yet"),
    (thank_you_expired, "This checkout was closed unpaid"),
    (reminder_sent, "We have written to you"),
    (reminder_scheduled, "We will remind you"),
    (reminder_cancelled, "Your reminder is cancelled"),
    (reminder_unknown, "This reminder link does not work any more"),
    (demo, None),
    (demo_in_russian, None),
    (outbox, "The outbox"),
    (outbox_email, None),
    (docs, "The API"),
    (not_found, "There is nothing here"),
]


@pytest.mark.parametrize(("open_state", "heading"), STATES, ids=[open_state.__name__ for open_state, _ in STATES])
def test_page_state_is_accessible(
    live_server: LiveServer,
    page: Page,
    reminder_url: str,
    open_state: Callable[[Visit], None],
    heading: str | None,
) -> None:
    with live_server.paused_worker():
        open_state(Visit(page, live_server, reminder_url))
        if heading is not None:
            expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        check_page(page, open_state.__name__)


def test_empty_outbox_is_accessible(live_server: LiveServer, page: Page) -> None:
    with live_server.paused_worker(), live_server.clear_outbox():
        page.goto("/dev/outbox")
        expect(page.get_by_text("No mail yet.")).to_be_visible()
        check_page(page, "empty outbox")


def test_email_html_is_accessible(live_server: LiveServer, new_page: NewPage, reminder_url: str) -> None:
    [email_path] = live_server.emails_to("subscriber@example.org")[-1:]
    page = new_page(bypass_csp=True)
    # The outbox shows the email in a frame without scripts, so axe-core needs it in a page of its own.
    page.set_content(live_server.get_html(f"{email_path}/html"))
    # Landmarks and a level-one heading belong to the email client.
    check_page(page, "email", ignored_rules=("region", "landmark-one-main", "page-has-heading-one"))

"""Every page of ours in every state, held against axe-core, a phone's width and a thumb's size, light and dark."""

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
    """A reader with a page, the newsroom they visit, and a reminder of theirs."""

    page: Page
    newsroom: LiveServer
    letter: str

    def go(self, path: str) -> None:
        self.page.goto(path)

    def press(self, name: str) -> None:
        """Press a button that sends a form, and wait for the page that answers."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=name).click()

    def checkout(self) -> None:
        self.go(self.newsroom.pledge(str(uuid.uuid4()))["checkout_url"])


def support(visit: Visit) -> None:
    visit.go("/support/default")


def support_with_the_reminder_open(visit: Visit) -> None:
    visit.go("/support/default")
    visit.page.get_by_text(NOT_READY_BUTTON).click()


def support_with_a_wrong_amount(visit: Visit) -> None:
    visit.go("/support/default")
    visit.page.get_by_label("Other amount").fill("1.000")
    visit.press("Continue")


def support_with_a_wrong_address(visit: Visit) -> None:
    support_with_the_reminder_open(visit)
    visit.page.get_by_label("E-mail address").fill("reader")
    visit.press(REMIND_BUTTON)


def reminder_is_set(visit: Visit) -> None:
    support_with_the_reminder_open(visit)
    visit.page.get_by_label("E-mail address").fill("tidy@example.org")
    visit.press(REMIND_BUTTON)


def checkout(visit: Visit) -> None:
    visit.checkout()


def checkout_with_a_wrong_address(visit: Visit) -> None:
    visit.checkout()
    visit.page.get_by_label("E-mail address").fill("reader")
    visit.press("Pay $2 a month")


def checkout_declined(visit: Visit) -> None:
    visit.checkout()
    visit.press("Decline")


def checkout_paid(visit: Visit) -> None:
    visit.checkout()
    address = visit.page.url
    visit.press("Pay $2 a month")
    visit.go(address)


def checkout_closed(visit: Visit) -> None:
    visit.checkout()
    visit.newsroom.close_checkouts()
    visit.page.reload()


def thank_you(visit: Visit) -> None:
    visit.checkout()
    visit.press("Pay $2 a month")


def thank_you_while_the_payment_is_on_its_way(visit: Visit) -> None:
    pledge = visit.newsroom.pledge(str(uuid.uuid4()))
    visit.go(f"/support/default/thank-you?pledge={pledge['id']}")


def thank_you_too_late(visit: Visit) -> None:
    thank_you_while_the_payment_is_on_its_way(visit)
    visit.newsroom.close_checkouts()
    visit.page.reload()


def reminder_sent(visit: Visit) -> None:
    visit.go(visit.letter)


def reminder_scheduled(visit: Visit) -> None:
    visit.go(visit.letter)
    visit.press(REMIND_BUTTON)


def reminder_cancelled(visit: Visit) -> None:
    reminder_scheduled(visit)
    visit.press("Cancel the reminder")


def reminder_unknown(visit: Visit) -> None:
    visit.go("/r/no-such-reminder")


def demo(visit: Visit) -> None:
    visit.go("/demo")
    SupportBox(visit.page).expect_state("form")


def demo_in_russian(visit: Visit) -> None:
    visit.go("/demo?lang=ru")
    SupportBox(visit.page).expect_state("form")


def outbox(visit: Visit) -> None:
    visit.go("/dev/outbox")


def mail(visit: Visit) -> None:
    visit.go(visit.newsroom.mails_to("subscriber@example.org")[-1])


def docs(visit: Visit) -> None:
    visit.go("/docs")


def not_found(visit: Visit) -> None:
    visit.go("/no-such-page")


STATES = [
    (support, "This paper is yours to keep"),
    (support_with_the_reminder_open, "This paper is yours to keep"),
    (support_with_a_wrong_amount, "This paper is yours to keep"),
    (support_with_a_wrong_address, "This paper is yours to keep"),
    (reminder_is_set, "Thank you! Your reminder is set."),
    (checkout, "Your gift to The Harbour Lantern $2 a month"),
    (checkout_with_a_wrong_address, "Your gift to The Harbour Lantern $2 a month"),
    (checkout_declined, "Your gift to The Harbour Lantern $2 a month"),
    (checkout_paid, "This gift is paid"),
    (checkout_closed, "This checkout has closed"),
    (thank_you, "Thank you for standing behind us."),
    (thank_you_while_the_payment_is_on_its_way, "Your payment has not arrived yet"),
    (thank_you_too_late, "This checkout was closed unpaid"),
    (reminder_sent, "We have written to you"),
    (reminder_scheduled, "We will remind you"),
    (reminder_cancelled, "Your reminder is cancelled"),
    (reminder_unknown, "This reminder link does not work any more"),
    (demo, None),
    (demo_in_russian, None),
    (outbox, "The outbox"),
    (mail, None),
    (docs, "The API"),
    (not_found, "There is nothing here"),
]


@pytest.mark.parametrize(("reach", "heading"), STATES, ids=[reach.__name__ for reach, _ in STATES])
def test_no_state_of_a_page_shuts_anyone_out(
    live_server: LiveServer, page: Page, email: str, reach: Callable[[Visit], None], heading: str | None
) -> None:
    with live_server.paused_worker():
        reach(Visit(page, live_server, email))
        if heading is not None:
            expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        check_page(page, reach.__name__)


def test_an_outbox_without_mails_says_how_to_get_one(live_server: LiveServer, page: Page) -> None:
    with live_server.paused_worker(), live_server.clear_outbox():
        page.goto("/dev/outbox")
        expect(page.get_by_text("No mail yet.")).to_be_visible()
        check_page(page, "outbox, empty")


def test_the_mail_itself_can_be_read_by_everyone(live_server: LiveServer, new_page: NewPage, email: str) -> None:
    [mail] = live_server.mails_to("subscriber@example.org")[-1:]
    page = new_page(bypass_csp=True)
    # In the outbox the mail stands in a frame in which no script runs, not even the one that looks for faults.
    page.set_content(live_server.read(f"{mail}/html"))
    # Landmarks and a heading of the first level are for pages; around a mail, the mail program has them.
    check_page(page, "the mail", but=("region", "landmark-one-main", "page-has-heading-one"))

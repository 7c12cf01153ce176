"""Every state of the reader's own pages, and how a reader comes to it."""

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page, Route

from tests.browser.newsroom import Newsroom
from tests.browser.readers import own_page, session_of, unused_link


@dataclass
class Visit:
    """A reader who is signed in, with a running gift and one that was given once."""

    page: Page
    newsroom: Newsroom
    email: str
    pledge_id: str

    def mine(self, path: str = "") -> None:
        self.page.context.add_cookies([session_of(self.newsroom, self.email)])
        self.page.goto(f"/me{path}")

    def by_link(self, path: str = "") -> None:
        self.page.goto(own_page(self.newsroom, self.pledge_id) + path)

    def press(self, name: str) -> None:
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=name, exact=True).click()

    def put(self, **values: object) -> None:
        """Put the pledge where its gateway would have brought it."""
        changes = ", ".join(f"{name} = :{name}" for name in values)
        self.newsroom.ask(f"UPDATE pledges SET {changes} WHERE id = :id RETURNING 1", id=self.pledge_id, **values)


def form(visit: Visit) -> None:
    visit.page.goto("/me")


def form_with_a_wrong_address(visit: Visit) -> None:
    visit.page.goto("/me")
    visit.page.get_by_label("E-mail address").fill("reader")
    visit.press("Send me the link")


def link_sent(visit: Visit) -> None:
    visit.page.goto("/me?sent=yes")


def door(visit: Visit) -> None:
    visit.page.goto(unused_link(visit.newsroom, visit.email))


def door_that_closed(visit: Visit) -> None:
    visit.page.goto("/me/enter/no-such-link")


def all_of_it(visit: Visit) -> None:
    visit.put(renews_at="2026-12-23T09:00:00Z", fees_minor=36)
    visit.mine()


def all_of_it_in_russian(visit: Visit) -> None:
    visit.put(renews_at="2026-12-23T09:00:00Z")
    visit.mine("?lang=ru")


def payment_missed(visit: Visit) -> None:
    visit.put(status="past_due")
    visit.mine()


def being_ended(visit: Visit) -> None:
    visit.put(cancel_requested_at="2026-11-23T09:00:00Z")
    visit.mine()


def by_link(visit: Visit) -> None:
    visit.by_link()


def question(visit: Visit) -> None:
    visit.by_link("/cancel")


def ended(visit: Visit) -> None:
    visit.by_link("/cancel")
    visit.press("End it")


def new_amount(visit: Visit) -> None:
    visit.by_link("/amount")


def wrong_amount(visit: Visit) -> None:
    visit.by_link("/amount")
    visit.page.get_by_label("New amount, each month").fill("1.000")
    visit.press("Change it")


def amount_changed(visit: Visit) -> None:
    visit.by_link("/amount")
    visit.page.get_by_label("New amount, each month").fill("5")
    visit.press("Change it")


def no_card(visit: Visit) -> None:
    visit.by_link()
    visit.press("Update the card")


def receipt(visit: Visit) -> None:
    visit.by_link()
    visit.page.get_by_role("link", name="Receipt").first.click()


def being_confirmed(visit: Visit) -> None:
    """Stay on the page that would look again by itself, for as long as it is looked at."""

    def without_moving_on(route: Route) -> None:
        response = route.fetch()
        headers = {name: value for name, value in response.headers.items() if name != "refresh"}
        assert headers != response.headers
        route.fulfill(response=response, headers=headers)

    made = visit.newsroom.pledge(f"confirming-{visit.pledge_id}")["id"]
    visit.page.route("**/thank-you?*", without_moving_on)
    visit.page.goto(f"/support/default/thank-you?pledge={made}&checkout=done")


def confirmed_late(visit: Visit) -> None:
    made = visit.newsroom.pledge(f"late-{visit.pledge_id}")["id"]
    visit.page.goto(f"/support/default/thank-you?pledge={made}&checkout=done&looks=20")


STATES: list[tuple[Callable[[Visit], None], str]] = [
    (form, "See what you give"),
    (form_with_a_wrong_address, "See what you give"),
    (link_sent, "Please look in your mailbox"),
    (door, "Welcome back"),
    (door_that_closed, "This link does not work any more"),
    (all_of_it, "Your support"),
    (all_of_it_in_russian, "Ваша поддержка"),
    (payment_missed, "Your support"),
    (being_ended, "Your support"),
    (by_link, "The Harbour Lantern $2 a month"),
    (question, "End your gift of $2 a month?"),
    (ended, "The Harbour Lantern $2 a month"),
    (new_amount, "Change your gift of $2 a month"),
    (wrong_amount, "Change your gift of $2 a month"),
    (amount_changed, "The Harbour Lantern $5 a month"),
    (no_card, "There is no card to update"),
    (receipt, "Receipt"),
    (being_confirmed, "Thank you!"),
    (confirmed_late, "Thank you!"),
]

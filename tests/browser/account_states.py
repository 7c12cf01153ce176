"""Every state of the reader's own pages, and how a reader comes to it."""

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page, Route

from tests.browser.accounts import fresh_sign_in_link, open_account, session_of
from tests.browser.live_server import LiveServer


@dataclass
class AccountPage:
    """A reader who is signed in, with a running gift and one that was given once."""

    page: Page
    newsroom: LiveServer
    email: str
    pledge_id: str

    def open_pledge(self, path: str = "") -> None:
        self.page.context.add_cookies([session_of(self.newsroom, self.email)])
        self.page.goto(f"/me{path}")

    def by_link(self, path: str = "") -> None:
        self.page.goto(open_account(self.newsroom, self.pledge_id) + path)

    def press(self, name: str) -> None:
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=name, exact=True).click()

    def fill(self, **values: object) -> None:
        """Put the pledge where its gateway would have brought it."""
        changes = ", ".join(f"{name} = :{name}" for name in values)
        self.newsroom.query(
            f"UPDATE pledges SET {changes} WHERE id = :id RETURNING 1", id=self.pledge_id, **values
        )


def form(visit: AccountPage) -> None:
    visit.page.goto("/me")


def form_with_a_wrong_address(visit: AccountPage) -> None:
    visit.page.goto("/me")
    visit.page.get_by_label("E-mail address").fill("reader")
    visit.press("Send me the link")


def link_sent(visit: AccountPage) -> None:
    visit.page.goto("/me?sent=yes")


def sign_in_link(visit: AccountPage) -> None:
    visit.page.goto(fresh_sign_in_link(visit.newsroom, visit.email))


def used_sign_in_link(visit: AccountPage) -> None:
    visit.page.goto("/me/enter/no-such-link")


def account(visit: AccountPage) -> None:
    visit.fill(renews_at="2026-12-23T09:00:00Z", fees_minor=36)
    visit.open_pledge()


def all_of_it_in_russian(visit: AccountPage) -> None:
    visit.fill(renews_at="2026-12-23T09:00:00Z")
    visit.open_pledge("?lang=ru")


def payment_missed(visit: AccountPage) -> None:
    visit.fill(status="past_due")
    visit.open_pledge()


def being_ended(visit: AccountPage) -> None:
    visit.fill(cancel_requested_at="2026-11-23T09:00:00Z")
    visit.open_pledge()


def by_link(visit: AccountPage) -> None:
    visit.by_link()


def cancel_confirmation(visit: AccountPage) -> None:
    visit.by_link("/cancel")


def ended(visit: AccountPage) -> None:
    visit.by_link("/cancel")
    visit.press("End it")


def new_amount(visit: AccountPage) -> None:
    visit.by_link("/amount")


def wrong_amount(visit: AccountPage) -> None:
    visit.by_link("/amount")
    visit.page.get_by_label("New amount, each month").fill("1.000")
    visit.press("Change it")


def amount_changed(visit: AccountPage) -> None:
    visit.by_link("/amount")
    visit.page.get_by_label("New amount, each month").fill("5")
    visit.press("Change it")


def no_card(visit: AccountPage) -> None:
    visit.by_link()
    visit.press("Update the card")


def receipt(visit: AccountPage) -> None:
    visit.by_link()
    visit.page.get_by_role("link", name="Receipt").first.click()


def being_confirmed(visit: AccountPage) -> None:
    """Stay on the page that would look again by itself, for as long as it is looked at."""

    def without_moving_on(route: Route) -> None:
        response = route.fetch()
        headers = {name: value for name, value in response.headers.items() if name != "refresh"}
        assert headers != response.headers
        route.fulfill(response=response, headers=headers)

    made = visit.newsroom.pledge(f"confirming-{visit.pledge_id}")["id"]
    visit.page.route("**/thank-you?*", without_moving_on)
    visit.page.goto(f"/support/default/thank-you?pledge={made}&checkout=done")


def confirmed_late(visit: AccountPage) -> None:
    made = visit.newsroom.pledge(f"late-{visit.pledge_id}")["id"]
    visit.page.goto(f"/support/default/thank-you?pledge={made}&checkout=done&looks=20")


STATES: list[tuple[Callable[[AccountPage], None], str]] = [
    (form, "See what you give"),
    (form_with_a_wrong_address, "See what you give"),
    (link_sent, "Please look in your mailbox"),
    (sign_in_link, "Welcome back"),
    (used_sign_in_link, "This link does not work any more"),
    (account, "Your support"),
    (all_of_it_in_russian, "Ваша поддержка"),
    (payment_missed, "Your support"),
    (being_ended, "Your support"),
    (by_link, "The Harbour Lantern $2 a month"),
    (cancel_confirmation, "End your gift of $2 a month?"),
    (ended, "The Harbour Lantern $2 a month"),
    (new_amount, "Change your gift of $2 a month"),
    (wrong_amount, "Change your gift of $2 a month"),
    (amount_changed, "The Harbour Lantern $5 a month"),
    (no_card, "There is no card to update"),
    (receipt, "Receipt"),
    (being_confirmed, "Thank you!"),
    (confirmed_late, "Thank you!"),
]

"""Every state of the account pages, with a function that opens it and the heading that it shows."""

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page, Route

from tests.browser.accounts import email_change_link, fresh_sign_in_link, pledge_page_url, session_cookie
from tests.browser.live_server import LiveServer


@dataclass
class AccountPage:
    """The page of a supporter with a monthly pledge `pledge_id` and a one-time pledge."""

    page: Page
    live_server: LiveServer
    email: str
    pledge_id: str

    def open_signed_in(self, path: str = "") -> None:
        self.page.context.add_cookies([session_cookie(self.live_server, self.email)])
        self.page.goto(f"/me{path}")

    def open_by_link(self, path: str = "") -> None:
        self.page.goto(pledge_page_url(self.live_server, self.pledge_id) + path)

    def press(self, name: str) -> None:
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=name, exact=True).click()

    def update_pledge(self, **values: object) -> None:
        """Set columns of the pledge, as the gateway's events would."""
        assignments = ", ".join(f"{name} = :{name}" for name in values)
        self.live_server.query(
            f"UPDATE pledges SET {assignments} WHERE id = :id RETURNING 1", id=self.pledge_id, **values
        )


def sign_in_form(visit: AccountPage) -> None:
    visit.page.goto("/me")


def sign_in_form_with_invalid_address(visit: AccountPage) -> None:
    visit.page.goto("/me")
    visit.page.get_by_label("E-mail address").fill("reader")
    visit.press("Send me the link")


def sign_in_link_sent(visit: AccountPage) -> None:
    visit.page.goto("/me?sent=yes")


def sign_in_link(visit: AccountPage) -> None:
    visit.page.goto(fresh_sign_in_link(visit.live_server, visit.email))


def used_sign_in_link(visit: AccountPage) -> None:
    visit.page.goto("/me/enter/no-such-link")


def account(visit: AccountPage) -> None:
    visit.update_pledge(renews_at="2026-12-23T09:00:00Z", fees_minor=36)
    visit.open_signed_in()


def account_in_russian(visit: AccountPage) -> None:
    visit.update_pledge(renews_at="2026-12-23T09:00:00Z")
    visit.open_signed_in("?lang=ru")


def past_due(visit: AccountPage) -> None:
    visit.update_pledge(status="past_due")
    visit.open_signed_in()


def cancellation_pending(visit: AccountPage) -> None:
    visit.update_pledge(cancel_requested_at="2026-11-23T09:00:00Z")
    visit.open_signed_in()


def pledge_by_link(visit: AccountPage) -> None:
    visit.open_by_link()


def cancel_confirmation(visit: AccountPage) -> None:
    visit.open_by_link("/cancel")


def cancelled(visit: AccountPage) -> None:
    visit.open_by_link("/cancel")
    visit.press("End it")


def amount_form(visit: AccountPage) -> None:
    visit.open_by_link("/amount")


def invalid_amount(visit: AccountPage) -> None:
    visit.open_by_link("/amount")
    visit.page.get_by_label("New amount, each month").fill("1.000")
    visit.press("Change it")


def amount_changed(visit: AccountPage) -> None:
    visit.open_by_link("/amount")
    visit.page.get_by_label("New amount, each month").fill("5")
    visit.press("Change it")


def no_card(visit: AccountPage) -> None:
    visit.open_by_link()
    visit.press("Update the card")


def email_form(visit: AccountPage) -> None:
    visit.open_signed_in("/email")


def invalid_new_email(visit: AccountPage) -> None:
    visit.open_signed_in("/email")
    visit.page.get_by_label("New email address").fill("reader")
    visit.press("Send me the link")


def email_link_sent(visit: AccountPage) -> None:
    visit.open_signed_in("/email")
    visit.page.get_by_label("New email address").fill(f"new.{visit.email}")
    visit.press("Send me the link")


def email_confirmation(visit: AccountPage) -> None:
    visit.page.goto(email_change_link(visit.live_server, visit.pledge_id))


def email_changed(visit: AccountPage) -> None:
    email_confirmation(visit)
    visit.press("Use this address")


def expired_email_link(visit: AccountPage) -> None:
    visit.page.goto("/me/email/no-such-link?lang=ru")


def receipt(visit: AccountPage) -> None:
    visit.open_by_link()
    visit.page.get_by_role("link", name="Receipt").first.click()


def payment_being_confirmed(visit: AccountPage) -> None:
    """Open the page without its automatic refresh, so that the checks see one state."""

    def without_refresh(route: Route) -> None:
        response = route.fetch()
        headers = {name: value for name, value in response.headers.items() if name != "refresh"}
        assert headers != response.headers
        route.fulfill(response=response, headers=headers)

    pledge_id = visit.live_server.create_pledge(f"confirming-{visit.pledge_id}")["id"]
    visit.page.route("**/thank-you?*", without_refresh)
    visit.page.goto(f"/support/default/thank-you?pledge={pledge_id}&checkout=done")


def payment_confirmation_delayed(visit: AccountPage) -> None:
    pledge_id = visit.live_server.create_pledge(f"late-{visit.pledge_id}")["id"]
    visit.page.goto(f"/support/default/thank-you?pledge={pledge_id}&checkout=done&looks=20")


STATES: list[tuple[Callable[[AccountPage], None], str]] = [
    (sign_in_form, "See what you give"),
    (sign_in_form_with_invalid_address, "See what you give"),
    (sign_in_link_sent, "Please look in your mailbox"),
    (sign_in_link, "Welcome back"),
    (used_sign_in_link, "This link does not work any more"),
    (account, "Your support"),
    (account_in_russian, "Ваша поддержка"),
    (past_due, "Your support"),
    (cancellation_pending, "Your support"),
    (pledge_by_link, "The Harbour Lantern $2 a month"),
    (cancel_confirmation, "End your gift of $2 a month?"),
    (cancelled, "The Harbour Lantern $2 a month"),
    (amount_form, "Change your gift of $2 a month"),
    (invalid_amount, "Change your gift of $2 a month"),
    (amount_changed, "The Harbour Lantern $5 a month"),
    (no_card, "There is no card to update"),
    (email_form, "Change your email address"),
    (invalid_new_email, "Change your email address"),
    (email_link_sent, "Check your email"),
    (email_confirmation, "Confirm your new email address"),
    (email_changed, "Your email address has changed"),
    (expired_email_link, "Ссылка больше не действует"),
    (receipt, "Receipt"),
    (payment_being_confirmed, "Thank you!"),
    (payment_confirmation_delayed, "Thank you!"),
]

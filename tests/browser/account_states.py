"""Every state of the account pages, with a function that opens it and the heading that it shows."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page, Route

from tests.browser.accounts import (
    email_change_link,
    erasure_link,
    fresh_sign_in_link,
    pledge_page_url,
    session_cookie,
    undo_link,
)
from tests.browser.live_server import LiveServer


@dataclass
class AccountPage:
    """The page of a supporter with a monthly pledge `pledge_id` and a one-time pledge."""

    page: Page
    live_server: LiveServer
    email: str
    pledge_id: str
    lang: str = "en"

    def open_signed_in(self, path: str = "") -> None:
        self.page.context.add_cookies([session_cookie(self.live_server, self.email)])
        self.page.goto(f"/me{path}?lang={self.lang}")

    def open_by_link(self, path: str = "") -> None:
        self.page.goto(f"{pledge_page_url(self.live_server, self.pledge_id)}{path}?lang={self.lang}")

    def press(self, button: str) -> None:
        """Press a button that submits a form, found by a selector, and wait for the next page."""
        with self.page.expect_navigation():
            self.page.locator(button).first.click()

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
    visit.page.locator("[name=email]").fill("reader")
    visit.press("main .main-button")


def sign_in_link_sent(visit: AccountPage) -> None:
    visit.page.goto("/me")
    visit.page.locator("[name=email]").fill(visit.email)
    visit.press("main .main-button")


def sign_in_link(visit: AccountPage) -> None:
    visit.page.goto(fresh_sign_in_link(visit.live_server, visit.email))


def used_sign_in_link(visit: AccountPage) -> None:
    visit.page.goto("/me/enter/no-such-link")


def account(visit: AccountPage) -> None:
    visit.update_pledge(renews_at="2026-12-23T09:00:00Z", fees_minor=36)
    visit.open_signed_in()


def past_due(visit: AccountPage) -> None:
    visit.update_pledge(status="past_due", open_invoice_reference="in_1")
    visit.open_signed_in()


def payment_declined(visit: AccountPage) -> None:
    past_due(visit)
    visit.press("[name=card][value=saved]")


def cancellation_pending(visit: AccountPage) -> None:
    visit.update_pledge(cancel_requested_at="2026-11-23T09:00:00Z")
    visit.open_signed_in()


def pledge_by_link(visit: AccountPage) -> None:
    visit.open_by_link()


def cancel_confirmation(visit: AccountPage) -> None:
    visit.open_by_link("/cancel")


def cancel_confirmation_with_all_choices(visit: AccountPage) -> None:
    visit.update_pledge(amount_minor=1500)
    visit.open_by_link("/cancel")


def cancelled(visit: AccountPage) -> None:
    visit.open_by_link("/cancel")
    visit.press("[value=end]")


def amount_form(visit: AccountPage) -> None:
    visit.open_by_link("/amount")


def invalid_amount(visit: AccountPage) -> None:
    visit.open_by_link("/amount")
    visit.page.locator("[name=amount]").last.fill("12,50")
    visit.press("main .main-button")


def amount_changed(visit: AccountPage) -> None:
    visit.open_by_link("/amount")
    visit.page.locator("[name=amount]").last.fill("5")
    visit.press("main .main-button")


def amount_with_fees(visit: AccountPage) -> None:
    """Type an amount as a reader who covers fees, and so be shown the sum."""
    visit.update_pledge(fees_minor=36, renews_at=datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=30))
    changed = "UPDATE campaigns SET cover_fees = :fees WHERE slug = 'default' RETURNING 1"
    [[before]] = visit.live_server.query("SELECT CAST(cover_fees AS text) FROM campaigns WHERE slug = 'default'")
    visit.live_server.query(changed, fees='{"USD": {"basis_points": 290, "fixed": 30}}')
    visit.open_by_link("/amount")
    visit.page.locator("[name=amount]").last.fill("5")
    visit.press("main .main-button")
    visit.live_server.query(changed, fees=before)


def smaller_amount_form(visit: AccountPage) -> None:
    visit.update_pledge(amount_minor=1500, renews_at="2026-12-23T09:00:00Z")
    visit.open_by_link("/amount?to=less")


def pause_form(visit: AccountPage) -> None:
    visit.open_by_link("/pause")


def pause_of_past_due_support(visit: AccountPage) -> None:
    visit.update_pledge(status="past_due")
    visit.open_by_link("/pause")


def outdated_pause_form(visit: AccountPage) -> None:
    visit.open_by_link("/pause")
    visit.update_pledge(renews_at="2027-12-23T09:00:00Z")
    visit.press("main .main-button")


def paused(visit: AccountPage) -> None:
    visit.open_signed_in(f"/pledges/{visit.pledge_id}/pause")
    visit.press("main .main-button")


def missed_pause(visit: AccountPage) -> None:
    """Open the page of a supporter who was charged before the gateway had their pause."""
    today = datetime.datetime.now(datetime.UTC)
    visit.update_pledge(
        pause_requested_at=today - datetime.timedelta(days=1),
        pending_resumes_at=today + datetime.timedelta(days=80),
    )
    visit.open_signed_in()


def resume_confirmation(visit: AccountPage) -> None:
    paused(visit)
    visit.page.locator("a[href*='/resume']").first.click()


def frequency_form(visit: AccountPage) -> None:
    visit.open_by_link("/frequency")


def invalid_annual_amount(visit: AccountPage) -> None:
    visit.open_by_link("/frequency")
    visit.page.locator("[name=amount]").last.fill("1.000")
    visit.press("main .main-button")


def frequency_of_paused_support(visit: AccountPage) -> None:
    paused(visit)
    visit.open_by_link("/frequency")


def frequency_switched(visit: AccountPage) -> None:
    visit.open_by_link("/frequency")
    visit.press("main .main-button")


def no_card(visit: AccountPage) -> None:
    visit.open_by_link()
    visit.press("form[action*='/card'] button")


def own_data(visit: AccountPage) -> None:
    visit.open_signed_in("/data")


def own_data_after_an_hour(visit: AccountPage) -> None:
    visit.page.context.add_cookies([session_cookie(visit.live_server, visit.email)])
    visit.live_server.query(
        "UPDATE sign_ins SET used_at = '2026-01-01T00:00:00Z' WHERE used_at IS NOT NULL RETURNING 1"
    )
    visit.page.goto(f"/me/data?lang={visit.lang}")


def erasure_form(visit: AccountPage) -> None:
    visit.open_signed_in("/erase")


def erasure_form_with_money_on_its_way(visit: AccountPage) -> None:
    visit.live_server.query(
        """INSERT INTO refunds (id, payment_id, status, amount_minor, currency, created_at)
           SELECT id, id, 'requested', 50, currency, paid_at FROM payments WHERE pledge_id = :id RETURNING 1""",
        id=visit.pledge_id,
    )
    visit.update_pledge(status="processing", gateway="stripe")
    visit.open_signed_in("/erase")


def erasure_link_sent(visit: AccountPage) -> None:
    visit.open_signed_in("/erase")
    visit.press("main .main-button")


def erasure_confirmation(visit: AccountPage) -> None:
    visit.page.goto(f"{erasure_link(visit.live_server, visit.pledge_id)}?lang={visit.lang}")


def erased(visit: AccountPage) -> None:
    erasure_confirmation(visit)
    visit.press("main .main-button")


def erasure_waiting_for_the_provider(visit: AccountPage) -> None:
    erased(visit)
    newest = "(SELECT id FROM erasures ORDER BY requested_at DESC LIMIT 1)"
    visit.live_server.query(f"UPDATE erasures SET status = 'requested' WHERE id = {newest} RETURNING 1")
    visit.page.reload()
    visit.live_server.query(f"DELETE FROM erasures WHERE id = {newest} RETURNING 1")


def expired_erasure_link(visit: AccountPage) -> None:
    visit.page.goto(f"/me/erase/no-such-link?lang={visit.lang}")


def erasure_at_another_provider(visit: AccountPage) -> None:
    erasure_confirmation(visit)
    visit.update_pledge(gateway="stripe")
    visit.press("main .main-button")


def email_form(visit: AccountPage) -> None:
    visit.open_signed_in("/email")


def invalid_new_email(visit: AccountPage) -> None:
    visit.open_signed_in("/email")
    visit.page.locator("[name=email]").fill("reader")
    visit.press("main .main-button")


def email_link_sent(visit: AccountPage) -> None:
    visit.open_signed_in("/email")
    visit.page.locator("[name=email]").fill(f"new.{visit.email}")
    visit.press("main .main-button")


def email_confirmation(visit: AccountPage) -> None:
    visit.page.goto(email_change_link(visit.live_server, visit.pledge_id))


def email_changed(visit: AccountPage) -> None:
    email_confirmation(visit)
    visit.press("main .main-button")


def present_email(visit: AccountPage) -> None:
    visit.open_signed_in("/email")
    visit.page.locator("[name=email]").fill(visit.email)
    visit.press("main .main-button")


def email_undo(visit: AccountPage) -> None:
    email_changed(visit)
    visit.page.goto(f"{undo_link(visit.live_server, visit.pledge_id)}?lang={visit.lang}")


def email_undone(visit: AccountPage) -> None:
    email_undo(visit)
    visit.press("main .main-button")


def expired_undo_link(visit: AccountPage) -> None:
    visit.page.goto(f"/me/email/undo/no-such-link?lang={visit.lang}")


def expired_email_link(visit: AccountPage) -> None:
    visit.page.goto("/me/email/no-such-link")


def receipt(visit: AccountPage) -> None:
    visit.open_by_link()
    visit.page.locator("a[href*='/receipt']").first.click()


def refunded_and_disputed_receipt(visit: AccountPage) -> None:
    """Open the receipt, with the reader's address, of a payment that came back in two ways."""
    for sql in (
        """INSERT INTO refunds (id, payment_id, status, amount_minor, currency, gateway_reference, created_at)
           SELECT id, id, 'succeeded', 50, currency, CAST(id AS text), paid_at FROM payments WHERE pledge_id = :id
           RETURNING 1""",
        """INSERT INTO disputes (id, payment_id, status, amount_minor, withheld_minor, currency, gateway_reference,
           opened_at) SELECT id, id, 'open', 150, 150, currency, CAST(id AS text), paid_at
           FROM payments WHERE pledge_id = :id RETURNING 1""",
    ):
        visit.live_server.query(sql, id=visit.pledge_id)
    [[payment_id]] = visit.live_server.query("SELECT id FROM payments WHERE pledge_id = :id", id=visit.pledge_id)
    visit.open_signed_in(f"/receipts/{payment_id}")


def one_card(visit: AccountPage) -> None:
    second_running_pledge(visit, customer_reference=None)
    visit.open_signed_in("/card")


def several_cards(visit: AccountPage) -> None:
    second_running_pledge(visit, customer_reference="cus_2")
    visit.update_pledge(customer_reference="cus_1", payment_method_changed_at="2026-11-23T09:00:00Z")
    visit.open_signed_in("/card")


def second_running_pledge(visit: AccountPage, **values: object) -> None:
    """Let the one-time pledge be a monthly one."""
    assignments = ", ".join(f"{name} = :{name}" for name in values)
    visit.live_server.query(
        f"""UPDATE pledges SET frequency = 'monthly', status = 'active', {assignments} WHERE id != :id
            AND supporter_id = (SELECT supporter_id FROM pledges WHERE id = :id) RETURNING 1""",
        id=visit.pledge_id,
        **values,
    )


def receipt_sent_again(visit: AccountPage) -> None:
    visit.open_signed_in()
    visit.page.locator("a[href*='/receipt']").first.click()
    visit.press("form[action*='/send'] button")


def statements(visit: AccountPage) -> None:
    visit.open_signed_in("/statements")


def yearly_receipts_chosen(visit: AccountPage) -> None:
    visit.open_signed_in("/statements")
    visit.page.locator(".tile:has([value=yearly])").click()
    visit.press("form[action*='/receipts'] button")


def statements_with_wrong_days(visit: AccountPage) -> None:
    visit.open_signed_in("/statements")
    visit.page.locator("[name=from]").fill("2026-03-02")
    visit.page.locator("[name=to]").fill("2026-03-01")
    visit.press("[name=format][value=pdf]")


def statements_of_an_empty_period(visit: AccountPage) -> None:
    visit.open_signed_in("/statements")
    visit.page.locator("[name=from]").fill("2020-01-01")
    visit.page.locator("[name=to]").fill("2020-12-31")
    visit.press("[name=format][value=csv]")


def payment_being_confirmed(visit: AccountPage) -> None:
    """Open the page without its automatic refresh, so that the checks see one state."""

    def without_refresh(route: Route) -> None:
        response = route.fetch()
        headers = {name: value for name, value in response.headers.items() if name != "refresh"}
        assert headers != response.headers
        route.fulfill(response=response, headers=headers)

    pledge_id = visit.live_server.create_pledge(f"confirming-{visit.pledge_id}", lang=visit.lang)["id"]
    visit.page.route("**/thank-you?*", without_refresh)
    visit.page.goto(f"/support/default/thank-you?pledge={pledge_id}&checkout=done")


def payment_confirmation_delayed(visit: AccountPage) -> None:
    pledge_id = visit.live_server.create_pledge(f"late-{visit.pledge_id}", lang=visit.lang)["id"]
    visit.page.goto(f"/support/default/thank-you?pledge={pledge_id}&checkout=done&looks=20")


# The heading of a pledge's page is its campaign and amount.
STATES: list[tuple[Callable[[AccountPage], None], str | None]] = [
    (sign_in_form, "me_sign_in_title"),
    (sign_in_form_with_invalid_address, "me_sign_in_title"),
    (sign_in_link_sent, "me_sent_title"),
    (sign_in_link, "me_enter_title"),
    (used_sign_in_link, "me_over_title"),
    (account, "me_title"),
    (past_due, "me_title"),
    (payment_declined, "me_trouble_payment_declined_title"),
    (cancellation_pending, "me_title"),
    (pledge_by_link, None),
    (cancel_confirmation, "me_end_title"),
    (cancel_confirmation_with_all_choices, "me_end_title"),
    (cancelled, None),
    (amount_form, "me_amount_title"),
    (invalid_amount, "me_amount_title"),
    (amount_changed, None),
    (amount_with_fees, "me_amount_title"),
    (smaller_amount_form, "me_amount_title"),
    (pause_form, "me_pause_title"),
    (pause_of_past_due_support, "me_pause_title"),
    (outdated_pause_form, "me_pause_title"),
    (paused, "me_title"),
    (missed_pause, "me_title"),
    (resume_confirmation, "me_resume_title"),
    (frequency_form, "me_switch_title_annual"),
    (invalid_annual_amount, "me_switch_title_annual"),
    (frequency_of_paused_support, "me_switch_title_annual"),
    (frequency_switched, None),
    (no_card, "me_trouble_no_card_title"),
    (own_data, "data_title"),
    (own_data_after_an_hour, "data_title"),
    (erasure_form, "erase_form_title"),
    (erasure_form_with_money_on_its_way, "erase_form_title"),
    (erasure_link_sent, "erase_sent_title"),
    (erasure_confirmation, "erase_confirm_title"),
    (erased, "erase_done_title"),
    (erasure_waiting_for_the_provider, "erase_waiting_title"),
    (expired_erasure_link, "erase_over_title"),
    (erasure_at_another_provider, "erase_stuck_title"),
    (email_form, "me_email_title"),
    (invalid_new_email, "me_email_title"),
    (email_link_sent, "me_email_sent_title"),
    (email_confirmation, "me_email_confirm_title"),
    (email_changed, "me_email_done_title"),
    (present_email, "me_email_title"),
    (email_undo, "me_email_undo_title"),
    (email_undone, "me_email_undone_title"),
    (expired_undo_link, "me_email_undo_over_title"),
    (expired_email_link, "me_email_over_title"),
    (receipt, "me_receipt_title"),
    (refunded_and_disputed_receipt, "me_receipt_title"),
    (one_card, "me_one_card_title"),
    (several_cards, "me_one_card_title"),
    (receipt_sent_again, "me_receipt_title"),
    (statements, "statements_title"),
    (yearly_receipts_chosen, "statements_title"),
    (statements_with_wrong_days, "statements_title"),
    (statements_of_an_empty_period, "statements_title"),
    (payment_being_confirmed, "thanks_confirming_title"),
    (payment_confirmation_delayed, "thanks_confirming_long_title"),
]

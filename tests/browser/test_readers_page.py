"""The reader's own page in a browser: the link by mail, the end in two clicks, and every state for everyone."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.accessibility import check_page
from tests.browser.account_states import STATES, AccountPage
from tests.browser.accounts import create_paid_pledge, open_account, sign_in_link
from tests.browser.conftest import NewPage
from tests.browser.live_server import LiveServer

MOST_STEPS = 40


def sign_in(live_server: LiveServer, page: Page, email: str) -> None:
    page.goto("/me")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_role("button", name="Send me the link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Please look in your mailbox")
    assert email.partition("@")[0] not in page.url
    page.goto(sign_in_link(live_server, email))
    page.get_by_role("button", name="Open my page").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your support")


def test_from_the_link_in_the_mail_to_a_cancelled_row_in_the_export(live_server: LiveServer, page: Page) -> None:
    email = "ends.it@example.org"
    pledge_id = create_paid_pledge(live_server, page, email)
    sign_in(live_server, page, email)
    assert live_server.export()[pledge_id]["status"] == "active"
    page.get_by_role("link", name="End this gift").click()
    page.get_by_role("button", name="End it", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("This gift has ended.")
    assert live_server.export()[pledge_id]["status"] == "cancelled"

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("See what you give")
    page.go_back()
    page.goto("/me")
    expect(page.get_by_role("heading", level=1)).to_have_text("See what you give")


def test_the_cookie_is_out_of_every_script_s_reach(live_server: LiveServer, page: Page) -> None:
    email = "cookie@example.org"
    create_paid_pledge(live_server, page, email)
    sign_in(live_server, page, email)
    [cookie] = [one for one in page.context.cookies() if one["name"] == "mainstay_reader"]
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/")
    assert page.evaluate("document.cookie") == ""


def press_on(page: Page, wanted: Locator) -> None:
    """Go with the Tab key to what is wanted and press Enter there."""
    for _ in range(MOST_STEPS):
        page.keyboard.press("Tab")
        if wanted.evaluate("(element) => element === document.activeElement"):
            with page.expect_navigation():
                page.keyboard.press("Enter")
            return
    raise AssertionError(f"the Tab key does not lead to {wanted}")


def test_everything_is_done_with_the_keyboard_alone_and_without_javascript(
    live_server: LiveServer, page: Page, new_page: NewPage
) -> None:
    pledge_id = create_paid_pledge(live_server, page, "keys@example.org")
    for scripts in (True, False):
        reader = new_page(java_script_enabled=scripts)
        reader.goto(open_account(live_server, pledge_id))
        if not scripts:
            # What has no script cannot be asked where its focus is, so there the pointer does it.
            reader.get_by_role("link", name="End this gift").click()
            reader.get_by_role("button", name="End it, and remind me").click()
            expect(reader.get_by_role("status")).to_contain_text("we write to you once")
            continue
        press_on(reader, reader.get_by_role("link", name="Change the amount"))
        reader.get_by_label("New amount, each month").focus()
        reader.keyboard.type("1")
        reader.keyboard.press("Enter")
        expect(reader.get_by_role("alert")).to_be_focused()
        reader.get_by_label("New amount, each month").focus()
        reader.keyboard.press("ControlOrMeta+a")
        reader.keyboard.type("12.50")
        reader.keyboard.press("Enter")
        expect(reader.get_by_role("heading", level=1)).to_contain_text("$12.50 a month")
        assert live_server.export()[pledge_id]["amount"] == "12.50"
    assert live_server.export()[pledge_id]["status"] == "cancelled"


@pytest.mark.parametrize(("reach", "heading"), STATES, ids=[reach.__name__ for reach, _ in STATES])
def test_no_state_of_the_reader_s_page_shuts_anyone_out(
    live_server: LiveServer, page: Page, reach: Callable[[AccountPage], None], heading: str
) -> None:
    email = f"{reach.__name__}@example.org"
    create_paid_pledge(live_server, page, email, frequency="once", amount=2500)
    pledge_id = create_paid_pledge(live_server, page, email)
    with live_server.paused_worker():
        reach(AccountPage(page, live_server, email, pledge_id))
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        check_page(page, reach.__name__)


def test_a_page_that_waits_for_the_payment_moves_on_by_itself(live_server: LiveServer, new_page: NewPage) -> None:
    page = new_page(java_script_enabled=False)
    made = live_server.pledge("moves-on-by-itself")
    page.goto(f"/support/default/thank-you?pledge={made['id']}&checkout=done")
    expect(page.get_by_text("is being confirmed")).to_be_visible()
    checkout = page.context.new_page()
    checkout.goto(made["checkout_url"])
    checkout.get_by_role("button", name="Pay $2 a month").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Thank you for standing behind us.")


def test_a_receipt_prints_alone(live_server: LiveServer, page: Page) -> None:
    pledge_id = create_paid_pledge(live_server, page, "prints@example.org")
    page.goto(open_account(live_server, pledge_id))
    page.get_by_role("link", name="Receipt").click()
    page.emulate_media(media="print")
    expect(page.get_by_role("article")).to_be_visible()
    for hidden in (page.get_by_text("Print this page"), page.get_by_role("contentinfo")):
        expect(hidden).to_be_hidden()

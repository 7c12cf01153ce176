"""The account pages in a browser: sign-in by email, cancellation, and the accessibility of every state."""

import datetime
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.accessibility import WIDTHS, check_page
from tests.browser.account_states import STATES, AccountPage
from tests.browser.accounts import create_paid_pledge, pledge_page_url, session_cookie, sign_in_link
from tests.browser.conftest import NewPage
from tests.browser.live_server import LiveServer
from tests.browser.page_states import heading_pattern

MAX_TAB_STOPS = 40


def sign_in(live_server: LiveServer, page: Page, email: str) -> None:
    page.goto("/me")
    page.get_by_label("Email address").fill(email)
    page.get_by_role("button", name="Send me the link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your email")
    assert email.partition("@")[0] not in page.url
    page.goto(sign_in_link(live_server, email))
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your support")


def test_sign_in_and_cancellation_reach_the_export(live_server: LiveServer, page: Page) -> None:
    email = "ends.it@example.org"
    pledge_id = create_paid_pledge(live_server, page, email)
    sign_in(live_server, page, email)
    assert live_server.export()[pledge_id]["status"] == "active"
    page.get_by_role("link", name="Cancel support").click()
    page.get_by_role("button", name="Cancel now", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("Your support is cancelled.")
    assert live_server.export()[pledge_id]["status"] == "cancelled"

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in to manage your support")
    page.go_back()
    page.goto("/me")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in to manage your support")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_pause_and_its_end_reach_the_export(
    live_server: LiveServer, page: Page, new_page: NewPage, scripts: bool
) -> None:
    pledge_id = create_paid_pledge(live_server, page, f"pauses.{scripts}@example.org")
    supporter_page = new_page(java_script_enabled=scripts)
    supporter_page.goto(pledge_page_url(live_server, pledge_id))
    supporter_page.get_by_role("link", name="Cancel support").click()
    supporter_page.get_by_role("link", name="Pause or skip a payment").click()
    supporter_page.get_by_role("radio", name="3 months").check()
    chosen = supporter_page.locator(".outcome").filter(visible=True)
    expect(chosen).to_have_text(re.compile("No payments from .+ Your next payment is \\$2 on .+"))
    supporter_page.get_by_role("button", name="Pause my support").click()
    expect(supporter_page.get_by_role("status")).to_have_text("Your support is paused.")
    expect(supporter_page.locator(".standing")).to_contain_text("Paused")
    assert live_server.export()[pledge_id]["paused"] == "yes"
    supporter_page.get_by_role("link", name="End the pause").click()
    supporter_page.get_by_role("button", name="End the pause").click()
    expect(supporter_page.get_by_role("status")).to_contain_text("The pause has ended.")
    assert live_server.export()[pledge_id]["paused"] == "no"


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_skipped_payment_and_smaller_amount_reach_the_export(
    live_server: LiveServer, page: Page, new_page: NewPage, scripts: bool
) -> None:
    pledge_id = create_paid_pledge(live_server, page, f"skips.{scripts}@example.org", amount=1500)
    supporter_page = new_page(java_script_enabled=scripts)
    supporter_page.goto(pledge_page_url(live_server, pledge_id))
    before = supporter_page.locator(".next-payment").inner_text()
    supporter_page.get_by_role("link", name="Pause or skip a payment").click()
    supporter_page.get_by_role("radio", name="Skip one payment").check()
    outcome = supporter_page.locator(".outcome").filter(visible=True).inner_text()
    supporter_page.get_by_role("button", name="Pause my support").click()
    expect(supporter_page.get_by_role("status")).to_have_text("Your support is paused.")
    after = supporter_page.locator(".next-payment").inner_text()
    assert before.removeprefix("Next payment: $15 on ") in outcome
    assert after != before
    assert after.removeprefix("Next payment: $15 on ") in outcome
    assert live_server.export()[pledge_id]["paused"] == "yes"

    supporter_page.get_by_role("link", name="Cancel support").click()
    less = supporter_page.get_by_role("link", name=re.compile("Give .+ a month instead"))
    summary = less.inner_text().removeprefix("Give ").removesuffix(" instead")
    less.click()
    supporter_page.get_by_role("button", name="Change amount").click()
    expect(supporter_page.get_by_role("heading", level=1)).to_contain_text(summary)
    # A smaller amount does not end the pause.
    expect(supporter_page.locator(".next-payment")).to_have_text(after.replace("$15", summary.split()[0]))
    row = live_server.export()[pledge_id]
    assert 0 < float(row["amount"]) < 15
    assert (row["status"], row["paused"], row["payments"]) == ("active", "yes", "1")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_switch_to_annual_and_back_reaches_the_export(
    live_server: LiveServer, page: Page, new_page: NewPage, scripts: bool
) -> None:
    pledge_id = create_paid_pledge(live_server, page, f"switches.{scripts}@example.org")
    supporter_page = new_page(java_script_enabled=scripts)
    supporter_page.goto(pledge_page_url(live_server, pledge_id))
    before = supporter_page.locator(".next-payment").inner_text()
    supporter_page.get_by_role("link", name="Give once a year instead").click()
    expect(supporter_page.locator(".lead")).to_contain_text("Nothing is charged or refunded today.")
    expect(supporter_page.get_by_role("radio", name="$24")).to_be_checked()
    supporter_page.get_by_role("button", name="Switch to annual support").click()
    expect(supporter_page.get_by_role("status")).to_contain_text("Your support has changed.")
    expect(supporter_page.get_by_role("heading", level=1)).to_contain_text("$24 a year")
    # The day of the next payment stays.
    expect(supporter_page.locator(".next-payment")).to_have_text(before.replace("$2", "$24"))
    row = live_server.export()[pledge_id]
    assert (row["frequency"], row["amount"], row["payments"]) == ("annual", "24.00", "1")
    supporter_page.get_by_role("link", name="Give every month instead").click()
    supporter_page.get_by_role("button", name="Switch to monthly support").click()
    expect(supporter_page.get_by_role("heading", level=1)).to_contain_text("$2 a month")
    expect(supporter_page.locator(".next-payment")).to_have_text(before)


def test_session_cookie_is_not_readable_by_scripts(live_server: LiveServer, page: Page) -> None:
    email = "cookie@example.org"
    create_paid_pledge(live_server, page, email)
    sign_in(live_server, page, email)
    [cookie] = [cookie for cookie in page.context.cookies() if cookie["name"] == "mainstay_reader"]
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/")
    assert page.evaluate("document.cookie") == ""


def activate_by_keyboard(page: Page, target: Locator) -> None:
    """Move the focus to `target` with the Tab key and press Enter."""
    for _ in range(MAX_TAB_STOPS):
        page.keyboard.press("Tab")
        if target.evaluate("(element) => element === document.activeElement"):
            with page.expect_navigation():
                page.keyboard.press("Enter")
            return
    raise AssertionError(f"the Tab key does not reach {target}")


def test_account_pages_work_with_keyboard_only_and_without_javascript(
    live_server: LiveServer, page: Page, new_page: NewPage
) -> None:
    pledge_id = create_paid_pledge(live_server, page, "keys@example.org")
    for scripts in (True, False):
        supporter_page = new_page(java_script_enabled=scripts)
        supporter_page.goto(pledge_page_url(live_server, pledge_id))
        if not scripts:
            # Without scripts the test cannot query the focus, so it clicks.
            supporter_page.get_by_role("link", name="Cancel support").click()
            supporter_page.get_by_role("button", name="Cancel, and remind me").click()
            expect(supporter_page.get_by_role("status")).to_contain_text("we’ll email you once")
            continue
        activate_by_keyboard(supporter_page, supporter_page.get_by_role("link", name="Change the amount"))
        supporter_page.locator("[name=amount]").focus()
        supporter_page.keyboard.type("1")
        supporter_page.keyboard.press("Enter")
        expect(supporter_page.get_by_role("alert")).to_be_focused()
        supporter_page.locator("[name=amount]").focus()
        supporter_page.keyboard.press("ControlOrMeta+a")
        supporter_page.keyboard.type("12.50")
        supporter_page.keyboard.press("Enter")
        expect(supporter_page.get_by_role("heading", level=1)).to_contain_text("$12.50 a month")
        assert live_server.export()[pledge_id]["amount"] == "12.50"
    assert live_server.export()[pledge_id]["status"] == "cancelled"


@pytest.mark.parametrize("lang", WIDTHS)
@pytest.mark.parametrize(("open_state", "heading"), STATES, ids=[open_state.__name__ for open_state, _ in STATES])
def test_account_state_is_accessible(
    live_server: LiveServer,
    new_page: NewPage,
    open_state: Callable[[AccountPage], None],
    heading: str | None,
    lang: str,
) -> None:
    page = new_page(locale=lang)
    email = f"{open_state.__name__}.{lang}@example.org"
    create_paid_pledge(live_server, page, email, frequency="once", amount=2500, lang=lang)
    pledge_id = create_paid_pledge(live_server, page, email, lang=lang)
    with live_server.paused_worker():
        open_state(AccountPage(page, live_server, email, pledge_id, lang))
        if heading is not None:
            expect(page.get_by_role("heading", level=1)).to_have_text(heading_pattern(heading, lang))
        check_page(page, open_state.__name__, widths=WIDTHS[lang])


def test_thank_you_page_refreshes_until_the_payment_arrives(live_server: LiveServer, new_page: NewPage) -> None:
    page = new_page(java_script_enabled=False)
    pledge = live_server.create_pledge("moves-on-by-itself")
    page.goto(f"/support/default/thank-you?pledge={pledge['id']}&checkout=done")
    expect(page.get_by_text("We’re confirming your payment")).to_be_visible()
    checkout = page.context.new_page()
    checkout.goto(pledge["checkout_url"])
    checkout.get_by_role("button", name="Pay $2 a month").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Thank you for your support")


def test_print_style_hides_everything_but_the_receipt(live_server: LiveServer, page: Page) -> None:
    pledge_id = create_paid_pledge(live_server, page, "prints@example.org")
    page.goto(pledge_page_url(live_server, pledge_id))
    page.get_by_role("link", name="Receipt").click()
    page.emulate_media(media="print", color_scheme="dark")
    receipt, logo = page.get_by_role("article"), page.get_by_role("banner").get_by_role("img")
    expect(receipt).to_be_visible()
    # Paper is white, so the logo for dark mode could not be seen on it.
    assert logo.evaluate("image => new URL(image.currentSrc).pathname") == logo.get_attribute("src")
    assert logo.bounding_box()["x"] == receipt.bounding_box()["x"]
    button = page.locator("button[data-print]")
    # A logo is printed, too (see test_brand.py).
    for hidden in (page.get_by_text("Print this page"), button, page.locator("footer")):
        expect(hidden).to_be_hidden()


def test_print_button_prints_and_is_hidden_without_scripts(live_server: LiveServer, new_page: NewPage) -> None:
    page = new_page()
    pledge_id = create_paid_pledge(live_server, page, "print.button@example.org")
    page.goto(pledge_page_url(live_server, pledge_id))
    page.get_by_role("link", name="Receipt").click()
    page.evaluate("() => { window.print = () => { document.title = 'printed' } }")
    page.locator("button[data-print]").click()
    expect(page).to_have_title("printed")
    plain = new_page(java_script_enabled=False)
    plain.goto(page.url)
    expect(plain.locator("button[data-print]")).to_be_hidden()
    expect(plain.get_by_text("Print this page")).to_be_visible()


def test_statements_and_receipts_work_without_javascript(
    live_server: LiveServer, page: Page, new_page: NewPage
) -> None:
    email = "statements@example.org"
    create_paid_pledge(live_server, page, email)
    plain = new_page(java_script_enabled=False)
    plain.context.add_cookies([session_cookie(live_server, email)])
    plain.goto("/me?lang=en")
    plain.get_by_role("link", name="Statements and yearly receipts").click()
    with plain.expect_download() as of_year:
        plain.get_by_role("link", name=re.compile("PDF for .* so far")).click()
    assert of_year.value.path().read_bytes().startswith(b"%PDF-")
    today = datetime.datetime.now(datetime.UTC).date()
    plain.locator("[name=from]").fill(str(today - datetime.timedelta(days=2)))
    plain.locator("[name=to]").fill(str(today + datetime.timedelta(days=2)))
    with plain.expect_download() as of_days:
        plain.get_by_role("button", name="Download CSV").click()
    assert of_days.value.suggested_filename.endswith(".csv")
    assert "2.00" in of_days.value.path().read_text("utf-8-sig")
    plain.get_by_label("One a year, in January").check()
    plain.get_by_role("button", name="Save").click()
    expect(plain.get_by_role("status")).to_have_text("Saved.")
    expect(plain.get_by_label("One a year, in January")).to_be_checked()
    plain.get_by_role("link", name="Back").click()
    plain.get_by_role("link", name="Receipt for").first.click()
    plain.get_by_role("button", name="Email me this receipt").click()
    expect(plain.get_by_role("status")).to_contain_text("on its way")

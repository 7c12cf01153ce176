"""Keyboard use: every control is reachable, the focus is visible, and it moves to a sensible place."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import evaluate_check
from tests.browser.host_site import HostSite
from tests.browser.live_server import LiveServer
from tests.browser.network import CAMPAIGN, REMINDERS, SUPPORT_SCRIPT, fail_requests
from tests.browser.support_box import NOT_READY_BUTTON, REMIND_BUTTON, REMINDER_SET, SupportBox


def press(page: Page, keys: str) -> str:
    """Press a key, assert that the focus is visible, and return the focused element's name."""
    page.keyboard.press(keys)
    focus = evaluate_check(page, "focus")
    assert focus["ring"], f"the focus on {focus['tag']} “{focus['name']}” is not visible"
    assert focus["inView"], f"the focused {focus['tag']} “{focus['name']}” is outside the viewport"
    return focus["name"]


def focused(page: Page) -> str:
    """Return the focused element's name. A focused heading needs no visible ring."""
    return evaluate_check(page, "focus")["name"]


@pytest.fixture
def article(page: Page, host_site: HostSite) -> SupportBox:
    """Return the box on the host site, with the focus on the link before it."""
    page.goto(host_site.show())
    box = SupportBox(page)
    box.expect_state("form")
    assert press(page, "Tab") == "More on the ferry"
    return box


def test_pledge_with_keyboard_only(article: SupportBox) -> None:
    page = article.page
    assert press(page, "Tab") == "Close"
    assert press(page, "Tab") == "Monthly"
    assert press(page, "ArrowLeft") == "Once"
    assert press(page, "ArrowRight") == "Monthly"
    assert press(page, "Tab") == "$7"
    assert press(page, "ArrowRight") == "$15"
    expect(article.continue_button).to_have_text("Continue – $15 a month")
    assert press(page, "Tab").startswith("Other amount")
    page.keyboard.type("2")
    assert press(page, "Tab") == "Continue – $2 a month"
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Pay $2 a month")).to_be_visible()
    for _ in range(6):
        if press(page, "Tab") == "Pay $2 a month":
            break
    page.keyboard.press("Space")
    expect(page.get_by_text("You’re now giving The Harbour Lantern $2 a month.")).to_be_visible()


def test_reminder_with_keyboard_only(article: SupportBox) -> None:
    page = article.page
    article.continue_button.focus()
    assert press(page, "Tab") == NOT_READY_BUTTON
    page.keyboard.press("Space")
    article.expect_state("reminder-form")
    assert focused(page) == "Remind me next month"
    assert press(page, "Tab").startswith("Email address")
    page.keyboard.type("keys@example.org")
    assert press(page, "Tab") == REMIND_BUTTON
    page.keyboard.press("Enter")
    article.expect_state("reminder-set")
    assert focused(page) == REMINDER_SET
    assert press(page, "Tab") == "Wrong address? Change it"
    # It is the box's last control; the next Tab leaves the box.
    assert press(page, "Tab") == "Back to the top"


def test_invalid_field_gets_the_focus(article: SupportBox) -> None:
    page = article.page
    article.other_amount.focus()
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    article.expect_state("invalid")
    expect(article.other_amount).to_be_focused()
    page.keyboard.type("0")
    article.expect_state("form")
    assert press(page, "Tab") == "Continue – $10 a month"


def test_focus_moves_to_the_error_then_to_the_retry_button(article: SupportBox) -> None:
    page = article.page
    fail_requests(page, REMINDERS, 503)
    article.not_ready.press("Enter")
    article.email.fill("patience@example.org")
    article.email.press("Enter")
    article.expect_state("error")
    assert focused(page) == "Something went wrong"
    assert press(page, "Tab") == "Try again"
    page.keyboard.press("Space")
    article.expect_state("reminder-set")
    assert focused(page) == REMINDER_SET


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_closing_the_box_keeps_the_place_in_the_tab_order(article: SupportBox, key: str) -> None:
    page = article.page
    assert press(page, "Tab") == "Close"
    page.keyboard.press(key)
    article.expect_state("dismissed")
    assert focused(page) == "Hidden."
    assert press(page, "Tab") == "Undo"
    assert press(page, "Tab") == "Back to the top"


def test_loading_never_moves_the_focus(page: Page, host_site: HostSite) -> None:
    fail_requests(page, CAMPAIGN, 503)
    page.goto(host_site.show())
    box = SupportBox(page)
    box.expect_state("error")
    assert page.evaluate("() => document.activeElement === document.body")
    box.retry.press("Enter")
    box.expect_state("form")
    # The reader asked for a retry, so the focus moves to the loaded form.
    assert focused(page) == "This paper is yours to keep"


def test_support_page_and_reminder_page_with_keyboard_only(live_server: LiveServer, page: Page) -> None:
    page.goto("/support/default")
    reached = [press(page, "Tab") for _ in range(6)]
    assert [name.split(",")[0] for name in reached[1:]] == [
        "Monthly",
        "$7",
        "Other amount",
        "Continue – $7 a month",
        NOT_READY_BUTTON,
    ]
    page.keyboard.press("Space")
    while not press(page, "Tab").startswith("Email"):
        pass
    page.keyboard.type("keys.alone@example.org")
    while press(page, "Tab") != REMIND_BUTTON:
        pass
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(REMINDER_SET)
    page.goto(live_server.reminder_link_for("keys.alone@example.org"))
    while press(page, "Tab") != REMIND_BUTTON:
        pass
    with live_server.paused_worker():
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("We’ll remind you")


def test_support_page_error_summary_gets_the_focus(page: Page) -> None:
    # The script would explain the error before anything is sent.
    page.route(SUPPORT_SCRIPT, lambda route: route.abort())
    page.goto("/support/default")
    page.get_by_label("Other amount").fill("1.000")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_focused()
    assert press(page, "Tab").startswith("Enter at most")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Other amount")).to_be_focused()

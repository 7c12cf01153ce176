"""A reader with a keyboard alone reaches everything, sees where they are, and is led somewhere sensible."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import evaluate_check
from tests.browser.host_site import HostSite
from tests.browser.live_server import LiveServer
from tests.browser.network import CAMPAIGN, REMINDERS, fail_requests
from tests.browser.support_box import NOT_READY_BUTTON, REMIND_BUTTON, REMINDER_SET, SupportBox


def press(page: Page, keys: str) -> str:
    """Press a key, see that the focus is drawn where it went, and return the name of what has it."""
    page.keyboard.press(keys)
    focus = evaluate_check(page, "focus")
    assert focus["ring"], f"nothing shows that {focus['tag']} “{focus['name']}” has the focus"
    assert focus["inView"], f"{focus['tag']} “{focus['name']}” has the focus out of sight"
    return focus["name"]


def focused(page: Page) -> str:
    """Return the name of what has the focus, drawn or not: a heading that is read out needs no ring."""
    return evaluate_check(page, "focus")["name"]


@pytest.fixture
def article(page: Page, host_site: HostSite) -> SupportBox:
    """Return the box of an article, with the focus on the link before it."""
    page.goto(host_site.show())
    box = SupportBox(page)
    box.expect_state("form")
    assert press(page, "Tab") == "More on the ferry"
    return box


def test_two_dollars_a_month_with_the_keyboard_alone(article: SupportBox) -> None:
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
    expect(page.get_by_text("You give The Harbour Lantern $2 a month.")).to_be_visible()


def test_a_reminder_with_the_keyboard_alone(article: SupportBox) -> None:
    page = article.page
    article.continue_button.focus()
    assert press(page, "Tab") == NOT_READY_BUTTON
    page.keyboard.press("Space")
    article.expect_state("reminder-form")
    assert focused(page) == "We can remind you"
    assert press(page, "Tab").startswith("E-mail address")
    page.keyboard.type("keys@example.org")
    assert press(page, "Tab") == REMIND_BUTTON
    page.keyboard.press("Enter")
    article.expect_state("reminder-set")
    assert focused(page) == REMINDER_SET
    # All that is left to do in the box is to close it; the way on leads out of it, to what follows.
    assert press(page, "Tab") == "Close"
    assert press(page, "Tab") == "Back to the top"


def test_a_refused_field_gets_the_focus_and_its_mending_is_a_key_away(article: SupportBox) -> None:
    page = article.page
    article.other_amount.focus()
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    article.expect_state("invalid")
    expect(article.other_amount).to_be_focused()
    page.keyboard.type("0")
    article.expect_state("form")
    assert press(page, "Tab") == "Continue – $10 a month"


def test_after_a_failure_the_focus_is_on_what_happened_and_then_on_trying_again(article: SupportBox) -> None:
    page = article.page
    fail_requests(page, REMINDERS, 503)
    article.not_ready.press("Enter")
    article.email.fill("patience@example.org")
    article.email.press("Enter")
    article.expect_state("error")
    assert focused(page) == "That did not work"
    assert press(page, "Tab") == "Try again"
    page.keyboard.press("Space")
    article.expect_state("reminder-set")
    assert focused(page) == REMINDER_SET


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_the_box_closes_and_reading_goes_on_where_it_stood(article: SupportBox, key: str) -> None:
    page = article.page
    assert press(page, "Tab") == "Close"
    page.keyboard.press(key)
    article.expect_state("dismissed")
    expect(article.host).to_be_hidden()
    assert press(page, "Tab") == "Back to the top"


def test_the_box_never_takes_the_focus_while_a_reader_reads(page: Page, host_site: HostSite) -> None:
    fail_requests(page, CAMPAIGN, 503)
    page.goto(host_site.show())
    box = SupportBox(page)
    box.expect_state("error")
    assert page.evaluate("() => document.activeElement === document.body")
    box.retry.press("Enter")
    box.expect_state("form")
    # This time the reader asked, so the focus goes to what came.
    assert focused(page) == "This paper is yours to keep"


def test_the_support_page_and_its_reminder_with_the_keyboard_alone(live_server: LiveServer, page: Page) -> None:
    page.goto("/support/default")
    reached = [press(page, "Tab") for _ in range(6)]
    assert [name.split(",")[0] for name in reached[1:]] == [
        "Monthly",
        "$7",
        "Other amount",
        "Continue",
        NOT_READY_BUTTON,
    ]
    page.keyboard.press("Space")
    while not press(page, "Tab").startswith("E-mail"):
        pass
    page.keyboard.type("keys.alone@example.org")
    while press(page, "Tab") != REMIND_BUTTON:
        pass
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(REMINDER_SET)
    page.goto(live_server.link_in_mail_to("keys.alone@example.org"))
    while press(page, "Tab") != REMIND_BUTTON:
        pass
    with live_server.paused_worker():
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("We will remind you")


def test_a_refused_support_form_puts_the_focus_on_what_is_wrong(page: Page) -> None:
    page.goto("/support/default")
    page.get_by_label("Other amount").fill("1.000")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_focused()
    assert "1.000" in press(page, "Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Other amount")).to_be_focused()

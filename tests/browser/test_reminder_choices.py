"""A reader chooses among several reminders in the box: those that come once, and those that come again."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import check_page, evaluate_check
from tests.browser.host_site import HostSite
from tests.browser.live_server import LiveServer
from tests.browser.network import REMINDERS, pause_requests, record_requests
from tests.browser.support_box import NOT_READY_BUTTON, SupportBox
from tests.browser.test_keyboard import press

OFFER = {"choices": [1, 3, 6], "repeats": [1, 3, 12]}
LABELS = [
    "Next month",
    "In 3 months",
    "In 6 months",
    "Every month, until I cancel",
    "Every 3 months, until I cancel",
    "Every year, until I cancel",
]
ARABIC = {
    "reminder_legend": "متى",
    "email": "عنوان البريد الإلكتروني",
    "not_ready": "ذكّروني لاحقًا",
    "reminder_every": "كل {interval} حتى ألغي ذلك",
}


@pytest.fixture(scope="module")
def choosy(live_server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the slug of a campaign that offers several reminders."""
    live_server.offer(tmp_path_factory.mktemp("choosy"), slug="choosy", reminder=OFFER, texts={"ar": ARABIC})
    return "choosy"


@pytest.fixture
def box(choosy: str, host_site: HostSite, page: Page) -> SupportBox:
    """Return that campaign's box, where it asks for the address."""
    page.goto(host_site.show(f'campaign="{choosy}"', is_strict=False))
    box = SupportBox(page)
    box.not_ready.click()
    box.expect_state("reminder-form")
    return box


def test_every_reminder_on_offer_stands_in_one_list(box: SupportBox) -> None:
    expect(box.when.get_by_role("option")).to_have_text(LABELS)
    expect(box.when).to_have_value("Next month")
    expect(box.host.get_by_role("status")).to_have_text(
        "Leave your e-mail address and choose when we write to you."
    )


def test_a_campaign_with_one_reminder_asks_nothing_more(demo: SupportBox) -> None:
    demo.not_ready.click()
    demo.expect_state("reminder-form")
    expect(demo.remind).to_be_visible()
    expect(demo.host.get_by_role("combobox")).to_have_count(0)


@pytest.mark.parametrize(
    ("label", "promise", "asked"),
    [
        ("Next month", "Remind me next month", {"months": 1}),
        ("In 6 months", "Remind me in 6 months", {"months": 6}),
        ("Every 3 months, until I cancel", "Remind me", {"months": 3, "repeat": True}),
    ],
)
def test_what_is_chosen_is_what_the_button_promises_and_what_is_asked_for(
    box: SupportBox, label: str, promise: str, asked: dict[str, object]
) -> None:
    sent = record_requests(box.page, "/v1/reminders")
    box.when.select_option(label)
    expect(box.submit).to_have_text(promise)
    box.email.fill("choosy@example.org")
    box.submit.click()
    box.expect_state("reminder-set")
    body = sent.wait_for(1)[0].post_data_json
    assert {name: body[name] for name in ("months", "repeat") if name in body} == asked


def test_a_choice_is_made_with_the_keyboard_alone(box: SupportBox) -> None:
    page, sent = box.page, record_requests(box.page, "/v1/reminders")
    assert press(page, "Tab").startswith("E-mail address")
    page.keyboard.type("choosy.keys@example.org")
    assert press(page, "Tab").startswith("When")
    for _ in range(LABELS.index("Every 3 months, until I cancel")):
        press(page, "ArrowDown")
    expect(box.when).to_have_value("Every 3 months, until I cancel")
    assert press(page, "Tab").strip() == "Remind me"
    page.keyboard.press("Enter")
    box.expect_state("reminder-set")
    expect(box.host.get_by_role("status")).not_to_contain_text("once")
    body = sent.wait_for(1)[0].post_data_json
    assert (body["months"], body["repeat"]) == (3, True)


def test_going_back_and_forth_keeps_the_choice(box: SupportBox) -> None:
    box.when.select_option("Every month, until I cancel")
    box.back.click()
    box.not_ready.click()
    expect(box.when).to_have_value("Every month, until I cancel")
    expect(box.submit).to_have_text("Remind me")


def test_the_choice_holds_still_while_it_is_sent(box: SupportBox) -> None:
    pause_requests(box.page, REMINDERS)
    box.email.fill("still@example.org")
    box.submit.click()
    box.expect_state("submitting")
    expect(box.when).to_be_disabled()


def test_the_list_shuts_nobody_out(box: SupportBox) -> None:
    for label in ("Next month", "Every 3 months, until I cancel"):
        box.when.select_option(label)
        check_page(box.page, label)


def test_the_list_runs_from_right_to_left_where_the_language_does(
    choosy: str, host_site: HostSite, page: Page
) -> None:
    page.goto(host_site.show(f'campaign="{choosy}"', lang="ar", direction="rtl", is_strict=False))
    box = SupportBox(page)
    box.host.get_by_role("button", name=ARABIC["not_ready"]).click()
    box.expect_state("reminder-form")
    when = box.host.get_by_role("combobox", name=ARABIC["reminder_legend"])
    when.select_option("كل 3 أشهر حتى ألغي ذلك")
    expect(when).to_have_css("direction", "rtl")
    check_page(page, "a list from right to left")


def test_text_at_twice_its_size_leaves_the_list_in_its_place(box: SupportBox) -> None:
    box.when.select_option("Every 3 months, until I cancel")
    box.page.evaluate("() => { document.documentElement.style.fontSize = '200%' }")
    box.page.set_viewport_size({"width": 320, "height": 800})
    assert evaluate_check(box.page, "tooWide") + evaluate_check(box.page, "smallTargets") == []


def test_the_support_page_offers_the_same(choosy: str, page: Page) -> None:
    page.goto(f"/support/{choosy}")
    page.get_by_text(NOT_READY_BUTTON).click()
    for label in LABELS:
        expect(page.locator("#remind").get_by_text(label, exact=True)).to_have_count(1)
    check_page(page, "the support page with several reminders")

"""The reminder choices in the box: single and recurring reminders."""

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
    "reminder_every_months_few": "كل {count} أشهر حتى ألغي ذلك",
}


@pytest.fixture(scope="module")
def campaign_slug(live_server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the slug of a campaign that offers several reminders."""
    live_server.apply_campaign(
        tmp_path_factory.mktemp("choices"), slug="choices", reminder=OFFER, texts={"ar": ARABIC}
    )
    return "choices"


@pytest.fixture
def box(campaign_slug: str, host_site: HostSite, page: Page) -> SupportBox:
    """Return that campaign's box, with its reminder form open."""
    page.goto(host_site.show(f'campaign="{campaign_slug}"', is_strict=False))
    box = SupportBox(page)
    box.not_ready.click()
    box.expect_state("reminder-form")
    return box


def test_list_has_every_reminder_choice(box: SupportBox) -> None:
    expect(box.when.get_by_role("option")).to_have_text(LABELS)
    expect(box.when).to_have_value("Next month")
    expect(box.host.locator("[part=message]")).to_have_text("Choose when we should email you.")


def test_single_choice_has_a_button_and_no_list(demo: SupportBox) -> None:
    demo.not_ready.click()
    demo.expect_state("reminder-form")
    expect(demo.remind).to_be_visible()
    expect(demo.host.get_by_role("combobox")).to_have_count(0)


@pytest.mark.parametrize(
    ("label", "button", "expected"),
    [
        ("Next month", "Remind me next month", {"months": 1}),
        ("In 6 months", "Remind me in 6 months", {"months": 6}),
        ("Every 3 months, until I cancel", "Remind me", {"months": 3, "repeat": True}),
    ],
)
def test_choice_changes_button_and_request(
    box: SupportBox, label: str, button: str, expected: dict[str, object]
) -> None:
    sent = record_requests(box.page, "/v1/reminders")
    box.when.select_option(label)
    expect(box.submit).to_have_text(button)
    box.email.fill("choosy@example.org")
    box.submit.click()
    box.expect_state("reminder-set")
    body = sent.wait_for(1)[0].post_data_json
    assert {name: body[name] for name in ("months", "repeat") if name in body} == expected


def test_reminder_choice_with_keyboard_only(box: SupportBox) -> None:
    page, sent = box.page, record_requests(box.page, "/v1/reminders")
    assert press(page, "Tab").startswith("Email address")
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


def test_back_and_forth_keeps_the_reminder_choice(box: SupportBox) -> None:
    box.when.select_option("Every month, until I cancel")
    box.back.click()
    box.not_ready.click()
    expect(box.when).to_have_value("Every month, until I cancel")
    expect(box.submit).to_have_text("Remind me")


def test_list_is_disabled_while_submitting(box: SupportBox) -> None:
    pause_requests(box.page, REMINDERS)
    box.email.fill("still@example.org")
    box.submit.click()
    box.expect_state("submitting")
    expect(box.when).to_be_disabled()


def test_reminder_list_is_accessible(box: SupportBox) -> None:
    for label in ("Next month", "Every 3 months, until I cancel"):
        box.when.select_option(label)
        check_page(box.page, label)


def test_reminder_list_in_a_right_to_left_language(campaign_slug: str, host_site: HostSite, page: Page) -> None:
    page.goto(host_site.show(f'campaign="{campaign_slug}"', lang="ar", direction="rtl", is_strict=False))
    box = SupportBox(page)
    box.host.get_by_role("button", name=ARABIC["not_ready"]).click()
    box.expect_state("reminder-form")
    when = box.host.get_by_role("combobox", name=ARABIC["reminder_legend"])
    when.select_option("كل 3 أشهر حتى ألغي ذلك")
    expect(when).to_have_css("direction", "rtl")
    check_page(page, "a right-to-left list")


def test_double_text_size_keeps_the_list_within_the_page(box: SupportBox) -> None:
    box.when.select_option("Every 3 months, until I cancel")
    box.page.evaluate("() => { document.documentElement.style.fontSize = '200%' }")
    box.page.set_viewport_size({"width": 320, "height": 800})
    assert evaluate_check(box.page, "tooWide") + evaluate_check(box.page, "smallTargets") == []


def test_support_page_has_the_same_reminder_choices(campaign_slug: str, page: Page) -> None:
    page.goto(f"/support/{campaign_slug}")
    page.get_by_text(NOT_READY_BUTTON).click()
    # The links to calendar files have the same names.
    for label in LABELS:
        expect(page.locator("#remind").get_by_role("radio", name=label, exact=True)).to_have_count(1)
    check_page(page, "the support page with several reminders")

"""Every state of the box in large text, forced colours and reduced motion, and what assistive technology gets."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import HEIGHT, PHONE, evaluate_check
from tests.browser.box_states import (
    STATES,
    OpenState,
    banner,
    dialog,
    dismissed,
    error,
    invalid,
    reminder_form,
    reminder_set,
    set_attribute,
)
from tests.browser.conftest import BOTH_BROWSERS
from tests.browser.host_site import HostSite
from tests.browser.support_box import SupportBox

DOUBLE_FONT_SIZE = "() => { document.documentElement.style.fontSize = '200%' }"
# The regions that screen readers announce, with their texts.
LIVE_TEXTS = """(box) => [...box.shadowRoot.querySelectorAll("[role=status]")]
    .map((region) => region.textContent).filter(Boolean)"""
FOCUSED = "(box) => box.shadowRoot.activeElement?.textContent ?? null"


@pytest.mark.parametrize(("open_state", "state"), STATES, ids=[open_state.__name__ for open_state, _ in STATES])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("lang", "direction"), [("en", "ltr"), ("ar", "rtl")])
def test_box_state_in_large_text_and_forced_colours(
    host_site: HostSite, page: Page, lang: str, direction: str, theme: str, open_state: OpenState, state: str
) -> None:
    page.set_viewport_size({"width": PHONE, "height": HEIGHT})
    page.emulate_media(forced_colors="active", reduced_motion="reduce")
    page.goto(host_site.show(f'theme="{theme}"', is_strict=False, lang=lang, direction=direction))
    box = SupportBox(page, lang)
    box.expect_state("form")
    open_state(box)
    box.expect_state(state)
    page.evaluate(DOUBLE_FONT_SIZE)
    found = [failure for check in ("tooWide", "smallTargets", "cutOff") for failure in evaluate_check(page, check)]
    # A field scrolls with what is typed into it.
    assert [failure for failure in found if not failure.startswith("cut off: input")] == []
    assert evaluate_check(page, "animations") == 0


@BOTH_BROWSERS
@pytest.mark.parametrize(
    ("open_state", "announced", "focused"),
    [
        (invalid, [], None),
        (
            error,
            ["The problem is on our side. Please try again. You haven’t been charged."],
            "Something went wrong",
        ),
        (reminder_form, [re.compile(r"We’ll email you once, around [A-Z][a-z]+ \d{1,2}\.")], None),
        (reminder_set, None, "Thank you! Your reminder is set."),
        (dismissed, ["Hidden."], "Hidden."),
        (banner, [], None),
        (dialog, [], "This paper is yours to keep"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_state_is_announced_or_takes_the_focus(
    host_site: HostSite,
    page: Page,
    open_state: OpenState,
    announced: list[str | re.Pattern[str]] | None,
    focused: str | None,
) -> None:
    page.goto(host_site.show())
    box = SupportBox(page)
    box.expect_state("form")
    open_state(box)
    if open_state is not banner:
        expect(box.frame).not_to_have_attribute("data-state", "submitting")
    if open_state is reminder_set:
        box.expect_state("reminder-set")
    if open_state is error:
        box.expect_state("error")
    if announced is not None:
        texts = box.host.evaluate(LIVE_TEXTS)
        assert len(texts) == len(announced), texts
        for text, wanted in zip(texts, announced, strict=True):
            assert wanted.fullmatch(text) if isinstance(wanted, re.Pattern) else wanted == text, text
    if focused is not None:
        assert box.host.evaluate(FOCUSED) == focused


@BOTH_BROWSERS
def test_accessibility_tree_of_the_form(host_site: HostSite, page: Page) -> None:
    page.goto(host_site.show())
    box = SupportBox(page)
    box.expect_state("form")
    expect(box.host).to_match_aria_snapshot("""
        - region "This paper is yours to keep":
          - button "Close"
          - heading "This paper is yours to keep" [level=2]
          - group "How often":
            - radio "Once"
            - radio "Monthly" [checked]
            - radio "Annual"
          - group "Amount":
            - radio "$2"
            - radio "$7" [checked]
            - radio "$15"
            - textbox "Other amount"
          - button "Continue – $7 a month"
          - button "Not ready to support today? Remind me later."
          - paragraph:
            - link "Manage your support"
    """)


@BOTH_BROWSERS
def test_accessibility_tree_of_each_placement(host_site: HostSite, page: Page) -> None:
    page.goto(host_site.show())
    box = SupportBox(page)
    box.expect_state("form")
    banner(box)
    expect(box.host).to_match_aria_snapshot("""
        - region "This paper is yours to keep":
          - button "Close"
          - heading "This paper is yours to keep" [level=2]
          - button "Continue"
    """)
    set_attribute(box, "placement", "dialog")
    expect(box.host).to_be_hidden()
    box.host.evaluate("(box) => box.open()")
    expect(box.host).to_match_aria_snapshot("""
        - dialog "This paper is yours to keep":
          - region "This paper is yours to keep":
            - button "Close"
            - heading "This paper is yours to keep" [level=2]
            - group "How often"
            - group "Amount"
            - button "Continue – $7 a month"
    """)
    box.close.click()
    expect(box.host).to_match_aria_snapshot("""
        - region:
          - status: Hidden.
          - button "Undo"
    """)

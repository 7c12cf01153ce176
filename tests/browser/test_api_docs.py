"""The API reference in a browser: search, copy, keyboard, phones, and without scripts."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import PHONE, check_page, evaluate_check
from tests.browser.conftest import NewPage

WIDE = {"width": 1280, "height": 900}


@pytest.fixture
def docs(page: Page) -> Page:
    """Return the API reference on a desktop."""
    page.set_viewport_size(WIDE)
    page.goto("/docs")
    return page


def test_search_filters_the_contents_and_says_how_many_match(docs: Page) -> None:
    contents = docs.get_by_role("navigation", name="Contents")
    search, links = contents.get_by_label("Search"), contents.locator(".contents-group li:visible")
    total = links.count()
    search.fill("refund withdraw")
    expect(links).to_have_count(1)
    expect(contents.get_by_role("status")).to_have_text("1 match")
    search.fill("no such operation")
    expect(links).to_have_count(0)
    expect(contents.get_by_role("status")).to_have_text("No matches")
    search.fill("")
    expect(links).to_have_count(total)
    expect(contents.get_by_role("status")).to_have_text("")


def test_enter_in_the_search_opens_the_first_match(docs: Page) -> None:
    search = docs.get_by_label("Search")
    search.fill("create a pledge")
    search.press("Enter")
    expect(docs).to_have_url(re.compile("#post-v1-pledges$"))
    expect(docs.locator("#post-v1-pledges h3")).to_be_in_viewport()


def test_copy_takes_the_example_to_the_clipboard(docs: Page) -> None:
    docs.context.grant_permissions(["clipboard-read", "clipboard-write"])
    example = docs.locator("#post-v1-pledges .example").first
    button = example.get_by_role("button", name="Copy")
    button.focus()
    docs.keyboard.press("Enter")
    expect(example.get_by_role("status")).to_have_text("Copied")
    assert docs.evaluate("() => navigator.clipboard.readText()") == example.locator("pre").text_content()


def test_three_columns_on_a_desktop_with_contents_that_stay(docs: Page) -> None:
    docs.locator("#post-v1-admin-erasures").scroll_into_view_if_needed()
    expect(docs.get_by_label("Search")).to_be_in_viewport()
    contents, words, examples = (
        docs.locator(selector).bounding_box()
        for selector in (".contents", "#post-v1-admin-erasures .words", "#post-v1-admin-erasures .examples")
    )
    assert contents
    assert words
    assert examples
    assert contents["x"] + contents["width"] <= words["x"]
    assert words["x"] + words["width"] <= examples["x"]


def test_one_column_on_a_phone_with_contents_to_open(page: Page) -> None:
    page.set_viewport_size({"width": PHONE, "height": 640})
    page.goto("/docs")
    assert evaluate_check(page, "tooWide") == []
    link = page.locator(".contents").get_by_role("link", name="POST /v1/pledges Create")
    expect(link).to_be_hidden()
    page.get_by_text("Contents", exact=True).click()
    link.click()
    expect(page.locator("#post-v1-pledges h3")).to_be_in_viewport()
    expect(link).to_be_hidden()
    words, examples = (page.locator(f"#post-v1-pledges .{part}").bounding_box() for part in ("words", "examples"))
    assert words
    assert examples
    assert words["y"] + words["height"] <= examples["y"]


@pytest.mark.parametrize("width", [PHONE, 1280])
def test_reference_is_complete_without_scripts(new_page: NewPage, width: int) -> None:
    page = new_page(java_script_enabled=False)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto("/docs")
    expect(page.get_by_label("Search")).to_be_hidden()
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    if width == PHONE:
        page.get_by_text("Contents", exact=True).click()
    page.locator(".contents").get_by_role("link", name="POST /v1/pledges Create").click()
    expect(page.locator("#post-v1-pledges h3")).to_be_in_viewport()
    expect(page.locator("#post-v1-pledges-response")).to_contain_text('"checkout_url"')


def test_reference_is_accessible(docs: Page) -> None:
    check_page(docs, "API reference")
    docs.get_by_text("Contents", exact=True).click()
    check_page(docs, "API reference with open contents")

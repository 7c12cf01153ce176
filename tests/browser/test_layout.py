"""The layout of pages: one left edge, even grids of choices, buttons of a sensible width, tables on phones."""

import re
import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from service.pages import rendering
from tests.browser.accessibility import PHONE, evaluate_check
from tests.browser.accounts import create_paid_pledge, pledge_page_url
from tests.browser.conftest import NewPage
from tests.browser.live_server import LiveServer

DESKTOP, PHONES = 1280, (390, PHONE)
MAX_BUTTON_WIDTH = 480
DOUBLE_FONT_SIZE = "() => { document.documentElement.style.fontSize = '200%' }"
STYLESHEET = Path(rendering.__file__).parent / "static/pages.css"
SHORT, GERMAN = "$5", "Unterstützungserinnerung"
MACRO = """{% import "form_macros.html" as forms %}<form class="gift"><fieldset><legend>When</legend>
<div class="grid"><div class="{{ forms.label_grid(labels) }}">
{% for label in labels %}{{ forms.tile("choice", loop.index, label, loop.first) }}{% endfor %}
</div></div></fieldset></form>"""
TILE_BOXES = """() => Array.from(document.querySelectorAll(".tile span"), (tile) => {
  const box = tile.getBoundingClientRect();
  return [Math.round(box.x), Math.round(box.width), Math.round(box.height), tile.scrollWidth <= tile.clientWidth];
})"""


def layout_paths(live_server: LiveServer, page: Page) -> list[str]:
    """Return the URLs of pages with different widths of content."""
    pledge_id = create_paid_pledge(live_server, page, f"{uuid.uuid4()}@example.org")
    pledge = pledge_page_url(live_server, pledge_id)
    return ["/support/default", "/me", "/docs", "/no-such-page", pledge, f"{pledge}/cancel", f"{pledge}/amount"]


def test_masthead_and_content_share_an_edge_and_buttons_are_not_wide(live_server: LiveServer, page: Page) -> None:
    for path in layout_paths(live_server, page):
        page.set_viewport_size({"width": DESKTOP, "height": 800})
        page.goto(path)
        # The API reference has columns. Its contents are the leftmost.
        content = ".contents label" if path == "/docs" else "h1"
        parts = (".paper-name > *", content, ".imprint p")
        edges = [page.locator(part).first.bounding_box()["x"] for part in parts]
        assert max(edges) - min(edges) < 30, path
        assert round(edges[0]) == round(edges[2]), path
        widths = [button.bounding_box()["width"] for button in page.locator(".main-button, .quiet-button").all()]
        assert all(width <= MAX_BUTTON_WIDTH for width in widths), path


@pytest.mark.parametrize("width", [DESKTOP, *PHONES])
def test_choices_form_an_even_grid(new_page: NewPage, width: int) -> None:
    page = new_page(viewport={"width": width, "height": 800})
    template = rendering._templates.from_string(MACRO)

    def tiles(labels: Sequence[str]) -> list[list[int]]:
        html = template.render(labels=labels)
        page.set_content(f'<meta name="viewport" content="width=device-width"><main class="sheet">{html}</main>')
        page.add_style_tag(path=STYLESHEET)
        boxes = page.evaluate(TILE_BOXES)
        # Every tile has one size, holds its label, and nothing makes the page scroll sideways.
        assert len({(box[1], box[2]) for box in boxes}) == 1, (labels, boxes)
        assert all(box[3] for box in boxes), labels
        assert evaluate_check(page, "tooWide") == []
        return boxes

    for count in range(1, 7):
        for label in (SHORT, "Monatlich", "Ежемесячно", "In 3 months", GERMAN):
            columns = len({box[0] for box in tiles([label] * (count - 1) + [SHORT])} if count else ())
            # No row but the last is incomplete, and none of five choices stands alone.
            assert columns in {1: (1,), 2: (1, 2), 3: (1, 3), 4: (1, 2), 5: (1, 3), 6: (1, 3)}[count]


def test_payments_stack_with_their_labels_on_phones(live_server: LiveServer, page: Page) -> None:
    pledge_id = create_paid_pledge(live_server, page, f"{uuid.uuid4()}@example.org")
    page.goto(pledge_page_url(live_server, pledge_id))
    label = "(cell) => getComputedStyle(cell, '::before').content"
    amount = page.locator(".payments [data-label]").first
    for width in PHONES:
        page.set_viewport_size({"width": width, "height": 800})
        assert amount.evaluate(label) == '"Amount"'
        cells = page.locator(".payments tbody tr").first.locator("th, td")
        tops = [cell.bounding_box()["y"] for cell in cells.all()]
        assert tops == sorted(set(tops))
    # It is a table for screen readers at every width.
    expect(page.get_by_role("table", name=re.compile("Payments"))).to_be_visible()
    expect(page.get_by_role("rowheader")).to_have_count(1)
    page.set_viewport_size({"width": DESKTOP, "height": 800})
    assert amount.evaluate(label) in ("none", "normal")


@pytest.mark.parametrize("action", ["", "/cancel", "/amount", "/receipts"])
def test_account_pages_survive_double_text_size(live_server: LiveServer, page: Page, action: str) -> None:
    pledge_id = create_paid_pledge(live_server, page, f"{uuid.uuid4()}@example.org")
    page.goto(pledge_page_url(live_server, pledge_id) + action.replace("/receipts", ""))
    if action == "/receipts":
        page.get_by_role("link", name="Receipt").click()
    page.evaluate(DOUBLE_FONT_SIZE)
    for width in (2 * PHONE, PHONE):
        page.set_viewport_size({"width": width, "height": 800})
        assert evaluate_check(page, "tooWide") + evaluate_check(page, "cutOff") == []

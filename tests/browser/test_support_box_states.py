"""Every state of the box: accessible in each theme, direction and preference, and what a screen reader reads."""

import pytest
from playwright.sync_api import Page

from tests.browser.accessibility import DESKTOP, HEIGHT, PHONE, check_page, evaluate_check
from tests.browser.box_states import (
    STATES,
    OpenState,
    closed,
    impact,
    loading,
    loading_failed,
    read_more,
    set_attribute,
)
from tests.browser.box_trees import FOCUSED, TREES, read_out
from tests.browser.conftest import BOTH_BROWSERS
from tests.browser.host_site import HostSite
from tests.browser.live_server import LiveServer
from tests.browser.support_box import SupportBox
from tests.browser.three_currencies import CAMPAIGN_FILE

EVERY_STATE = pytest.mark.parametrize(
    ("open_state", "state"), STATES, ids=[open_state.__name__ for open_state, _ in STATES]
)
DOUBLE_FONT_SIZE = "() => { document.documentElement.style.fontSize = '200%' }"
# A screen reader announces a region that was there before its text.
MARK_REGION = "(box) => { box.shadowRoot.querySelector('.box > [role=status]').wasThere = true }"
KEEPS_REGION = "(box) => box.shadowRoot.querySelector('.box > [role=status]').wasThere === true"
ATTEMPTS = 200
# Opening these loads the page again.
RELOADED = (loading, loading_failed, read_more, impact, closed)


@pytest.fixture(scope="module", autouse=True)
def three_currencies(live_server: LiveServer) -> None:
    live_server.run_command("campaign", "apply", str(CAMPAIGN_FILE))


def open_box(
    host_site: HostSite, page: Page, lang: str, direction: str, open_state: OpenState, state: str
) -> SupportBox:
    page.goto(host_site.show(is_strict=False, lang=lang, direction=direction))
    box = SupportBox(page, lang)
    box.expect_state("form")
    open_state(box)
    box.expect_state(state)
    return box


@EVERY_STATE
@pytest.mark.parametrize(("lang", "direction"), [("en", "ltr"), ("ar", "rtl")])
def test_box_state_is_accessible(
    host_site: HostSite, page: Page, lang: str, direction: str, open_state: OpenState, state: str
) -> None:
    box = open_box(host_site, page, lang, direction, open_state, state)
    name = open_state.__name__
    # The theme of the box counts, and without one that of the system.
    check_page(page, name)
    for theme in ("light", "dark"):
        set_attribute(box, "theme", theme)
        check_page(page, f"{name} {theme}", widths=(PHONE,))
    box.expect_state(state)
    page.emulate_media(forced_colors="active", reduced_motion="reduce")
    page.evaluate(DOUBLE_FONT_SIZE)
    # axe-core mixes the page's colours with the forced ones, which are the reader's own.
    ignored = ("color-contrast",)
    check_page(page, f"{name} in large text and forced colours", widths=(PHONE,), ignored_rules=ignored)
    for width in (DESKTOP, PHONE):
        page.set_viewport_size({"width": width, "height": HEIGHT})
        # A field scrolls with what is typed into it.
        cut_off = [failure for failure in evaluate_check(page, "cutOff") if "cut off: input" not in failure]
        assert cut_off == [], width
    assert evaluate_check(page, "animations") == 0


@BOTH_BROWSERS
@EVERY_STATE
def test_accessibility_tree_and_focus(host_site: HostSite, page: Page, open_state: OpenState, state: str) -> None:
    page.goto(host_site.show())
    box = SupportBox(page)
    box.expect_state("form")
    box.host.evaluate(MARK_REGION)
    open_state(box)
    box.expect_state(state)
    focused, tree = TREES[open_state.__name__]
    for _ in range(ATTEMPTS):
        if read_out(box) == tree:
            break
        page.wait_for_timeout(50)
    assert read_out(box) == tree
    assert box.host.evaluate(FOCUSED) == focused
    assert box.host.evaluate(KEEPS_REGION) or open_state in RELOADED

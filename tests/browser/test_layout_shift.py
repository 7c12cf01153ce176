"""How much a page moves when the form takes the place of the link inside the box (layout-shift entries)."""

import pytest
from playwright.sync_api import Page

from tests.browser.host_site import STYLED, HostSite
from tests.browser.network import CAMPAIGN, pause_requests
from tests.browser.support_box import SupportBox

COLLECT_SHIFTS = """
  window.shifts = [];
  const keep = ({ startTime, value }) => shifts.push([startTime, value]);
  new PerformanceObserver((list) => list.getEntries().forEach(keep))
    .observe({ type: "layout-shift", buffered: true });
"""
NEXT_FRAME = "new Promise((seen) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(seen))))"
RESERVED = "<style>support-box { display: block; min-block-size: 60rem }</style>"


def shift(page: Page, host_site: HostSite, style: str) -> float:
    """Return how much the page moved until the form was there."""
    url = host_site.show(is_strict=False)
    host_site.html = host_site.html.replace(STYLED, STYLED + style)
    # The first page of a browser is slow to draw, so the second is measured.
    page.goto(url)
    SupportBox(page).expect_state("form")
    # The page is seen with the link before the campaign comes, as on a slow network.
    campaign = pause_requests(page, CAMPAIGN)
    page.goto(url)
    SupportBox(page).expect_state("loading")
    page.evaluate(NEXT_FRAME)
    campaign.resume()
    SupportBox(page).expect_state("form")
    page.evaluate(NEXT_FRAME)
    # The browser reports late, so a last move that the test makes itself says that all others were reported.
    now = page.evaluate("performance.now()")
    page.evaluate("document.querySelector('support-box').style.marginBlockStart = '100px'")
    page.wait_for_function("(now) => shifts.some(([at]) => at >= now)", arg=now)
    return page.evaluate("(now) => shifts.reduce((sum, [at, value]) => (at < now ? sum + value : sum), 0)", now)


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_page_that_reserves_the_room_of_the_box_does_not_move(host_site: HostSite, page: Page, width: int) -> None:
    # Tall enough that the paragraph below the box is on the screen, where it would count.
    page.set_viewport_size({"width": width, "height": 1600})
    page.add_init_script(COLLECT_SHIFTS)
    assert shift(page, host_site, RESERVED) == 0

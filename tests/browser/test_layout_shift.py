"""How much a page moves when the form takes the place of the link inside the box (layout-shift entries)."""

import pytest
from playwright.sync_api import Page

from tests.browser.host_site import STYLED, HostSite
from tests.browser.network import CAMPAIGN, pause_requests
from tests.browser.support_box import SupportBox
from tests.browser.test_support_page_script import LAYOUT_SHIFT_JS

RESERVED = "<style>support-box { display: block; min-block-size: 60rem }</style>"


def shift(page: Page, host_site: HostSite, style: str) -> float:
    url = host_site.show(is_strict=False)
    host_site.html = host_site.html.replace(STYLED, STYLED + style)
    # The page is seen with the link before the campaign comes, as on a slow network.
    campaign = pause_requests(page, CAMPAIGN)
    page.goto(url)
    SupportBox(page).expect_state("loading")
    page.evaluate("new Promise((seen) => requestAnimationFrame(() => setTimeout(seen)))")
    campaign.resume()
    SupportBox(page).expect_state("form")
    return page.evaluate(LAYOUT_SHIFT_JS)


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_page_that_reserves_the_room_of_the_box_does_not_move(host_site: HostSite, page: Page, width: int) -> None:
    # Tall enough that the paragraph below the box is on the screen, where it would count.
    page.set_viewport_size({"width": width, "height": 1600})
    assert shift(page, host_site, RESERVED) == 0
    # Without the room, what is below the box moves, so the test measures something.
    assert shift(page, host_site, "") > 0

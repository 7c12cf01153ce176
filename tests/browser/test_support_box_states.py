"""The accessibility of every state of the support box."""

import pytest
from playwright.sync_api import Page

from tests.browser.accessibility import check_page
from tests.browser.box_states import STATES, OpenState
from tests.browser.host_site import HostSite
from tests.browser.support_box import SupportBox


@pytest.mark.parametrize(("open_state", "state"), STATES, ids=[open_state.__name__ for open_state, _ in STATES])
@pytest.mark.parametrize(("lang", "direction"), [("en", "ltr"), ("ar", "rtl")])
def test_box_state_is_accessible(
    host_site: HostSite, page: Page, lang: str, direction: str, open_state: OpenState, state: str
) -> None:
    page.goto(host_site.show(is_strict=False, lang=lang, direction=direction))
    box = SupportBox(page, lang)
    box.expect_state("form")
    open_state(box)
    box.expect_state(state)
    check_page(page, open_state.__name__)


def test_theme_attribute_is_accessible_in_either_colour_scheme(host_site: HostSite, page: Page) -> None:
    for theme in ("light", "dark"):
        page.goto(host_site.show(f'theme="{theme}"', is_strict=False))
        SupportBox(page).expect_state("form")
        check_page(page, theme)

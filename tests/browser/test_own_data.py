"""My data in a browser without JavaScript: download it."""

import zipfile

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accounts import create_paid_pledge, session_cookie
from tests.browser.conftest import NewPage
from tests.browser.live_server import LiveServer


@pytest.fixture
def page(new_page: NewPage) -> Page:
    return new_page(java_script_enabled=False)


def test_reader_downloads_their_data(live_server: LiveServer, page: Page) -> None:
    email = "takes.it.home@example.org"
    pledge_id = create_paid_pledge(live_server, page, email)
    page.context.add_cookies([session_cookie(live_server, email)])
    page.goto("/me?lang=de")
    page.get_by_role("link", name="Meine Daten herunterladen oder löschen").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Ihre Daten")
    with page.expect_download() as started:
        page.get_by_role("button", name="Meine Daten herunterladen (ZIP)").click()
    download = started.value
    assert download.suggested_filename.startswith("my-data-")
    with zipfile.ZipFile(download.path()) as archive:
        assert "Ihre Daten bei" in archive.read("README.txt").decode()
        assert email in archive.read("csv/profile.csv").decode()
        assert pledge_id in archive.read("json/pledges.json").decode()
    # The page stays, so that the reader can go on.
    expect(page.get_by_role("heading", level=1)).to_have_text("Ihre Daten")

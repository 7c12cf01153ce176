"""My data in browsers without JavaScript: download it, delete it, and change the address."""

import zipfile

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accounts import change_address, create_paid_pledge, link_in_email, session_cookie
from tests.browser.conftest import BOTH_BROWSERS, NewPage
from tests.browser.live_server import LiveServer

pytestmark = BOTH_BROWSERS


@pytest.fixture
def page(new_page: NewPage) -> Page:
    return new_page(java_script_enabled=False)


def test_reader_downloads_their_data(live_server: LiveServer, page: Page, browser_name: str) -> None:
    email = f"takes.it.home.{browser_name}@example.org"
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


def test_reader_deletes_their_data(
    live_server: LiveServer, page: Page, new_page: NewPage, browser_name: str
) -> None:
    email = f"leaves.{browser_name}@example.org"
    pledge_id = create_paid_pledge(live_server, page, email)
    page.context.add_cookies([session_cookie(live_server, email)])
    page.goto("/me/data")
    page.get_by_role("link", name="Delete my data").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Delete your data?")
    expect(page.get_by_role("main")).to_contain_text("$2 a month. You won’t be charged again.")
    page.get_by_role("button", name="Send me the link to confirm").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your email")
    assert live_server.export()[pledge_id]["status"] == "active"

    # The email is opened in another browser, which has no session.
    phone = new_page(java_script_enabled=False)
    phone.goto(link_in_email(live_server, email, "erase"))
    expect(phone.get_by_role("heading", level=1)).to_have_text("Delete your data for good?")
    phone.get_by_role("button", name="Delete my data").click()
    expect(phone.get_by_role("heading", level=1)).to_have_text("Your data is deleted")
    row = live_server.export()[pledge_id]
    assert (row["status"], row["email"]) == ("cancelled", "")
    assert email.partition("@")[0] not in phone.url

    page.goto("/me")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in to manage your support")
    phone.reload()
    expect(phone.get_by_role("heading", level=1)).to_have_text("Your data is deleted")


def test_reader_changes_their_address_and_the_old_owner_undoes_it(
    live_server: LiveServer, page: Page, new_page: NewPage, browser_name: str
) -> None:
    old, new = (f"{name}.address.{browser_name}@example.org" for name in ("first", "second"))
    create_paid_pledge(live_server, page, old)
    page.context.add_cookies([session_cookie(live_server, old)])
    page.goto("/me")
    change_address(live_server, page, new)

    owner = new_page(java_script_enabled=False)
    owner.goto(link_in_email(live_server, old, "email/undo"))
    expect(owner.get_by_role("heading", level=1)).to_have_text("Change your email address back?")
    owner.get_by_role("button", name="Change it back").click()
    expect(owner.get_by_role("heading", level=1)).to_have_text("Your old address is back")
    assert "address" not in owner.url
    page.goto("/me")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in to manage your support")

"""The calendar file for readers who leave no address: the browser makes it, and nothing is sent."""

import datetime
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, expect

from service.domain.calendar import add_months
from tests.browser.host_site import HostSite
from tests.browser.live_server import LiveServer
from tests.browser.network import RecordedRequests
from tests.browser.support_box import SupportBox


def save(box: SupportBox) -> str:
    """Press the button and return the content of the file."""
    with box.page.expect_download() as download:
        box.calendar.click()
    assert download.value.suggested_filename == "reminder.ics"
    return Path(download.value.path()).read_bytes().decode()


def event_date(content: str) -> datetime.date:
    [date] = re.findall(r"\r\nDTSTART;VALUE=DATE:(\d{8})\r\n", content)
    return datetime.date.fromisoformat(f"{date[:4]}-{date[4:6]}-{date[6:]}")


@pytest.fixture
def requests(page: Page) -> RecordedRequests[Request]:
    requests: RecordedRequests[Request] = RecordedRequests(page)
    page.on("request", lambda request: requests.append(request))
    return requests


def test_calendar_file_has_the_date_of_the_reminder_and_sends_nothing(
    live_server: LiveServer, host_site: HostSite, page: Page, requests: RecordedRequests[Request]
) -> None:
    before, asked_at = live_server.count("reminders"), datetime.datetime.now(datetime.UTC)
    page.goto(host_site.show())
    box = SupportBox(page)
    box.choose("Annual", "30")
    box.not_ready.click()
    box.expect_state("reminder-form")
    requests.clear()
    content = save(box)
    # The address may stay empty, and the box says what happens next.
    expect(box.host).to_contain_text(
        re.compile(r"Your calendar file for \w+\s\d+,\s\d+ is ready.*We won’t email you\.")
    )
    assert [request.url for request in requests if not request.url.startswith("blob:")] == []
    assert page.context.cookies() == []
    assert live_server.count("reminders") == before

    assert "\r\nSUMMARY:Support The Harbour Lantern\r\n" in content
    unfolded = content.replace("\r\n ", "")
    choice = "lang=en&frequency=annual&amount=3000&currency=USD"
    assert f"\r\nURL:{live_server.base_url}/support/default?{choice}\r\n" in unfolded
    assert "ATTENDEE" not in content
    # The rule of the service. This server's own months last seconds, so that tests need not wait.
    due = add_months(asked_at, months=1, zone="Europe/Amsterdam", hour=9)
    assert event_date(content) == due.local_date


def test_calendar_file_follows_the_chosen_reminder(
    live_server: LiveServer, host_site: HostSite, page: Page, tmp_path: Path
) -> None:
    live_server.apply_campaign(tmp_path, slug="calendar", reminder={"choices": [1, 6], "repeats": [3]})
    page.goto(host_site.show('campaign="calendar"'))
    box = SupportBox(page)
    box.not_ready.click()
    next_month = event_date(save(box))
    box.when.select_option("In 6 months")
    in_six_months = save(box)
    assert 145 < (event_date(in_six_months) - next_month).days < 160
    assert "RRULE" not in in_six_months
    box.when.select_option("Every 3 months, until I cancel")
    assert "\r\nRRULE:FREQ=MONTHLY;INTERVAL=3" in save(box)


def test_form_says_around_when_the_email_comes(
    live_server: LiveServer, host_site: HostSite, page: Page, tmp_path: Path
) -> None:
    live_server.apply_campaign(tmp_path, slug="around", reminder={"choices": [1, 6]})
    page.goto(host_site.show('campaign="around"'))
    box = SupportBox(page)
    box.not_ready.click()
    box.when.select_option("In 6 months")
    content = save(box)
    date = event_date(content)
    around = box.host.get_by_role("status").filter(has_text="Around")
    expect(around).to_have_text(f"Around {date:%B} {date.day}")

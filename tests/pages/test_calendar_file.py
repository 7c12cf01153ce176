"""The calendar file of the support page: valid, without an address, and nothing is stored."""

import datetime

import pytest
from flask.testing import FlaskClient
from icalendar import Calendar, Component

from service.container import Container
from service.db.models.reminder import Reminder
from service.db.models.supporter import Supporter
from service.pages.calendar_file import calendar_file
from tests.api.client import count, update_campaign
from tests.clock import FakeClock
from tests.pages.html import visible_text

FILE = "/support/default/reminder.ics"
NOW = datetime.datetime(2026, 11, 23, 9, 30, tzinfo=datetime.UTC)


def event_of(content: str) -> Component:
    """Return the only event of a file, which must be valid to the letter."""
    lines = content.split("\r\n")
    assert lines.pop() == ""
    assert all(len(line.encode()) <= 75 for line in lines)
    assert "\n" not in "".join(lines)
    calendar = Calendar.from_ical(content)
    assert (calendar["version"], bool(calendar["prodid"])) == ("2.0", True)
    [event] = calendar.walk("VEVENT")
    assert event.errors == calendar.errors == []
    return event


def test_page_links_to_a_calendar_file(client: FlaskClient) -> None:
    page = client.get("/support/default?frequency=annual&amount=5000").text
    assert "Put it in my own calendar instead" in visible_text(page)
    assert f'{FILE}?months=1&amp;frequency=annual&amp;amount=5000&amp;lang=en"' in page


def test_each_single_reminder_has_its_calendar_file(container: Container, client: FlaskClient) -> None:
    update_campaign(container, reminder={"choices": [1, 6], "repeats": [3]})
    page = client.get("/support/default").text
    assert page.count(f'href="{FILE}?') == 2
    for months in (1, 6):
        assert f"{FILE}?months={months}&amp;" in page


def test_file_has_the_day_the_newsroom_and_the_way_back(
    container: Container, client: FlaskClient, clock: FakeClock
) -> None:
    update_campaign(container, timezone="Pacific/Auckland", send_hour=8)
    clock.now = datetime.datetime(2026, 11, 23, 12, 0, tzinfo=datetime.UTC)
    response = client.get(f"{FILE}?months=1&frequency=monthly&amount=1500")
    assert response.status_code == 200
    assert response.content_type == "text/calendar; charset=utf-8"
    assert response.headers["Content-Disposition"] == 'attachment; filename="reminder.ics"'
    assert "Set-Cookie" not in response.headers
    event = event_of(response.text)
    # It is the 24th in Auckland.
    assert event["dtstart"].dt == datetime.date(2026, 12, 24)
    assert event["dtstamp"].dt == clock()
    assert event["summary"] == "Support The Harbour Lantern"
    assert event["url"] == "http://desk.test/support/default?frequency=monthly&amount=1500"
    [alarm] = event.walk("VALARM")
    assert (alarm["action"], alarm["trigger"].dt) == ("DISPLAY", datetime.timedelta(hours=8))


def test_file_stores_nothing_and_each_has_its_own_id(container: Container, client: FlaskClient) -> None:
    first, second = (event_of(client.get(FILE).text) for _ in range(2))
    assert first["uid"] != second["uid"]
    assert count(container, Reminder) == count(container, Supporter) == 0


def test_file_for_a_picked_day_and_its_refusal(container: Container, client: FlaskClient) -> None:
    assert client.get(f"{FILE}?due_on=2027-01-02").status_code == 422
    update_campaign(container, slug="picks", reminder={"pick_date": True})
    file = "/support/picks/reminder.ics"
    assert event_of(client.get(f"{file}?due_on=2027-01-02").text)["dtstart"].dt == datetime.date(2027, 1, 2)
    for day in ("2026-11-23", "2027-11-24", "x", ""):
        assert client.get(f"{file}?due_on={day}").status_code == 422


@pytest.mark.parametrize("months", ["2", "0", "-1", "x", ""])
def test_file_for_an_interval_that_is_not_offered_is_refused(client: FlaskClient, months: str) -> None:
    assert client.get(f"{FILE}?months={months}").status_code == 422


def test_campaign_without_reminders_or_unknown_has_no_file(container: Container, client: FlaskClient) -> None:
    update_campaign(container, slug="off", reminder={"enabled": False})
    assert client.get("/support/off/reminder.ics").status_code == 422
    assert client.get("/support/none/reminder.ics").status_code == 404


@pytest.mark.parametrize(
    "title", ["Поддержать «Портовый фонарь» " * 9, "Commas, semicolons; and \\ slashes\nBEGIN:VEVENT", "🎈" * 60]
)
def test_any_title_is_folded_and_escaped(title: str) -> None:
    content = calendar_file(
        datetime.date(2026, 12, 23), title=title, url="https://a.example/", send_hour=9, host="a.example", now=NOW
    )
    assert event_of(content)["summary"] == " ".join(title.split())

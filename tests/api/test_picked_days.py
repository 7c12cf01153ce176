"""Reminders on a day that the reader picks, where the campaign lets them."""

import datetime

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from service.container import Container
from service.db.models.reminder import Reminder
from tests.api.client import (
    assert_problem,
    count,
    only_reminder,
    post_reminder,
    reminder_token_for,
    update_campaign,
)
from tests.clock import FakeClock

READER = "reader@example.org"


@pytest.fixture
def campaign(container: Container) -> None:
    update_campaign(container, reminder={"pick_date": True})


def test_campaign_says_whether_a_day_can_be_picked(container: Container, client: FlaskClient) -> None:
    update_campaign(container, reminder={"pick_date": True})
    assert client.get("/v1/campaigns/default").json["reminder"]["pick_date"] is True


@pytest.mark.usefixtures("campaign")
def test_reminder_is_due_on_the_picked_day_at_the_sending_hour_of_the_reader(
    client: FlaskClient, container: Container
) -> None:
    response = post_reminder(client, due_on="2027-03-28", timezone="Europe/Amsterdam")
    assert response.status_code == 201
    assert response.json == {
        "status": "scheduled",
        "due_on": "2027-03-28",
        "due_at": "2027-03-28T07:00:00Z",
        "repeat": False,
    }
    reminder = only_reminder(container)
    assert (str(reminder.due_on), reminder.months, reminder.every_months) == ("2027-03-28", 5, None)


@pytest.mark.usefixtures("campaign")
@pytest.mark.parametrize(
    ("now", "zone", "earliest", "latest"),
    [
        ("2026-11-23T09:30:00Z", "UTC", "2026-11-24", "2027-11-23"),
        # It is the 24th in Auckland already, and still the 22nd in Honolulu.
        ("2026-11-23T12:00:00Z", "Pacific/Auckland", "2026-11-25", "2027-11-24"),
        ("2026-11-23T09:30:00Z", "Pacific/Honolulu", "2026-11-23", "2027-11-22"),
        ("2028-02-29T12:00:00Z", "UTC", "2028-03-01", "2029-02-28"),
    ],
)
def test_day_is_from_tomorrow_until_a_year_ahead_in_the_zone_of_the_reader(
    client: FlaskClient, container: Container, clock: FakeClock, now: str, zone: str, earliest: str, latest: str
) -> None:
    clock.now = datetime.datetime.fromisoformat(now)
    for name, days in ((earliest, -1), (latest, 1)):
        outside = datetime.date.fromisoformat(name) + datetime.timedelta(days=days)
        response = post_reminder(client, due_on=str(outside), timezone=zone)
        assert_problem(response, 422, "due_on_out_of_range", field="due_on")
        assert response.json["errors"]["due_on"] == [f"Choose a day from {earliest} to {latest}."]
    assert count(container, Reminder) == 0
    for day in (earliest, latest):
        response = post_reminder(client, due_on=day, timezone=zone)
        assert (response.status_code, response.json["due_on"]) == (201, day)


def test_day_is_refused_where_none_is_offered(client: FlaskClient, container: Container) -> None:
    response = post_reminder(client, due_on="2026-12-24")
    assert_problem(response, 422, "reminder_choice_not_offered", field="due_on")
    assert count(container, Reminder) == 0
    post_reminder(client)
    token = reminder_token_for(container, READER)
    response = client.post(f"/v1/reminders/{token}/snooze", json={"due_on": "2026-12-24"})
    assert_problem(response, 422, "reminder_choice_not_offered", field="due_on")


@pytest.mark.usefixtures("campaign")
@pytest.mark.parametrize(
    ("changes", "field"), [({"months": 1}, "due_on"), ({"repeat": True}, "repeat")], ids=["months", "repeat"]
)
def test_day_excludes_months_and_repetition(
    client: FlaskClient, container: Container, changes: dict[str, object], field: str
) -> None:
    response = post_reminder(client, due_on="2026-12-24", **changes)
    assert_problem(response, 422, "validation_failed", field=field)
    assert count(container, Reminder) == 0


@pytest.mark.usefixtures("campaign")
def test_reminders_that_are_off_have_no_day_either(client: FlaskClient, container: Container) -> None:
    update_campaign(container, reminder={"pick_date": True, "enabled": False})
    assert_problem(post_reminder(client, due_on="2026-12-24"), 422, "reminders_not_offered")


@pytest.mark.usefixtures("campaign")
def test_reminder_is_moved_to_a_day(client: FlaskClient, container: Container) -> None:
    post_reminder(client, timezone="Europe/Amsterdam")
    token = reminder_token_for(container, READER)
    response = client.post(f"/v1/reminders/{token}/snooze", json={"due_on": "2027-01-02"})
    assert (response.status_code, response.json["due_on"]) == (200, "2027-01-02")
    assert only_reminder(container).due_at == datetime.datetime(2027, 1, 2, 8, tzinfo=datetime.UTC)
    for json in ({"due_on": "2026-11-23"}, {"due_on": "2027-11-24"}):
        response = client.post(f"/v1/reminders/{token}/snooze", json=json)
        assert_problem(response, 422, "due_on_out_of_range", field="due_on")
    assert str(only_reminder(container).due_on) == "2027-01-02"


@pytest.mark.usefixtures("campaign")
def test_later_request_moves_the_reminder_to_the_picked_day(client: FlaskClient, container: Container) -> None:
    post_reminder(client, timezone="Europe/Amsterdam")
    assert post_reminder(client, due_on="2026-12-31").json["due_on"] == "2026-12-31"
    reminder = only_reminder(container)
    # In the zone of the reader who asked first.
    assert reminder.due_at == datetime.datetime(2026, 12, 31, 8, tzinfo=datetime.UTC)


def test_picked_day_is_kept_until_the_reader_confirms(client: FlaskClient, container: Container) -> None:
    update_campaign(container, reminder={"pick_date": True, "confirm": True})
    assert post_reminder(client, due_on="2027-01-02").json["status"] == "unconfirmed"
    token = reminder_token_for(container, READER)
    assert client.post(f"/v1/reminders/{token}/confirm").json["due_at"] == "2027-01-02T09:00:00Z"


def test_title_of_the_page_is_stored_as_one_line(client: FlaskClient, container: Container) -> None:
    page = "https://paper.example/a"
    for typed, stored in (("  The\ttide\n turns\0 ", "The tide turns"), ("\n", None), ("a" * 200, "a" * 200)):
        response = post_reminder(client, email=f"{len(typed)}@example.org", page_url=page, page_title=typed)
        assert response.status_code == 201
        with container.database.read_only() as session:
            latest = session.scalars(select(Reminder).order_by(Reminder.id.desc())).first()
        assert latest.page_title == stored

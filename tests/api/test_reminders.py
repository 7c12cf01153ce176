"""Reminders: due dates in the reader's timezone, validation, and one reminder per supporter and campaign."""

import datetime

import pytest
from flask.testing import FlaskClient

from service.container import Container
from service.db.models.reminder import Reminder
from service.db.models.supporter import Supporter
from tests.api.client import (
    OMIT,
    assert_problem,
    count,
    only_reminder,
    pay_pledge,
    post_pledge,
    post_reminder,
    update_campaign,
)
from tests.clock import FakeClock


def set_clock(clock: FakeClock, text: str) -> None:
    clock.now = datetime.datetime.fromisoformat(text)


def test_reminder_matches_contract_example(client: FlaskClient, clock: FakeClock) -> None:
    set_clock(clock, "2026-11-23T09:30:00Z")
    response = post_reminder(
        client,
        months=1,
        timezone="Europe/Amsterdam",
        frequency="monthly",
        amount=500,
        page_url="https://paper.example/a",
        lang="en",
        consent_version="2026-01",
    )
    assert response.status_code == 201
    assert response.content_type == "application/json"
    promised = {"status": "scheduled", "due_on": "2026-12-23", "due_at": "2026-12-23T08:00:00Z"}
    assert response.json == promised | {"repeat": False}


def test_reminder_needs_only_campaign_and_address(client: FlaskClient, container: Container) -> None:
    response = post_reminder(client).json
    assert (response["due_on"], response["due_at"]) == ("2026-12-23", "2026-12-23T09:00:00Z")
    reminder = only_reminder(container)
    assert (reminder.months, reminder.timezone, reminder.lang, reminder.amount_minor) == (1, "UTC", "en", None)


@pytest.mark.parametrize(
    ("asked_at", "zone", "months", "due_on", "due_at"),
    [
        # A shorter month: its last day.
        ("2027-01-31T12:00:00Z", "UTC", 1, "2027-02-28", "2027-02-28T09:00:00Z"),
        ("2028-01-31T12:00:00Z", "UTC", 1, "2028-02-29", "2028-02-29T09:00:00Z"),
        ("2026-07-31T12:00:00Z", "UTC", 1, "2026-08-31", "2026-08-31T09:00:00Z"),
        ("2026-08-31T12:00:00Z", "UTC", 1, "2026-09-30", "2026-09-30T09:00:00Z"),
        ("2026-12-29T12:00:00Z", "UTC", 1, "2027-01-29", "2027-01-29T09:00:00Z"),
        ("2026-12-31T12:00:00Z", "UTC", 1, "2027-01-31", "2027-01-31T09:00:00Z"),
        ("2027-02-28T12:00:00Z", "UTC", 1, "2027-03-28", "2027-03-28T09:00:00Z"),
        ("2028-02-29T12:00:00Z", "UTC", 12, "2029-02-28", "2029-02-28T09:00:00Z"),
        # The date in the reader's timezone: already the 1st in Auckland, still the 31st in Honolulu.
        ("2026-12-31T12:00:00Z", "Pacific/Auckland", 1, "2027-02-01", "2027-01-31T20:00:00Z"),
        ("2027-01-01T05:00:00Z", "Pacific/Honolulu", 1, "2027-01-31", "2027-01-31T19:00:00Z"),
        ("2026-11-23T09:30:00Z", "Asia/Kathmandu", 1, "2026-12-23", "2026-12-23T03:15:00Z"),
        ("2026-11-23T09:30:00Z", "Pacific/Kiritimati", 3, "2027-02-23", "2027-02-22T19:00:00Z"),
        # Daylight saving time starts or ends in between.
        ("2026-10-20T09:30:00Z", "Europe/Amsterdam", 1, "2026-11-20", "2026-11-20T08:00:00Z"),
        ("2027-03-10T09:30:00Z", "Europe/Amsterdam", 1, "2027-04-10", "2027-04-10T07:00:00Z"),
    ],
)  # fmt: skip
def test_reminder_is_due_same_day_of_later_month_in_reader_timezone(
    container: Container,
    client: FlaskClient,
    clock: FakeClock,
    asked_at: str,
    zone: str,
    months: int,
    due_on: str,
    due_at: str,
) -> None:
    set_clock(clock, asked_at)
    update_campaign(container, reminder={"choices": [1, 3, 12]})
    response = post_reminder(client, timezone=zone, months=months).json
    assert (response["due_on"], response["due_at"]) == (due_on, due_at)


@pytest.mark.parametrize(
    ("asked_at", "hour", "due_at"),
    [
        # 02:00 to 03:00 does not exist on 28 March 2027 in Amsterdam: the email is due one hour later.
        ("2027-02-28T12:00:00Z", 2, "2027-03-28T01:00:00Z"),
        # 02:00 to 03:00 comes twice on 31 October 2027: the first one counts.
        ("2027-09-30T12:00:00Z", 2, "2027-10-30T00:00:00Z"),
        ("2027-08-31T12:00:00Z", 2, "2027-09-30T00:00:00Z"),
    ],
)
def test_send_hour_in_dst_gap_moves_forward(
    container: Container, client: FlaskClient, clock: FakeClock, asked_at: str, hour: int, due_at: str
) -> None:
    set_clock(clock, asked_at)
    update_campaign(container, timezone="Europe/Amsterdam", send_hour=hour)
    assert post_reminder(client).json["due_at"] == due_at


def test_ambiguous_send_hour_means_the_first(container: Container, client: FlaskClient, clock: FakeClock) -> None:
    set_clock(clock, "2027-08-31T12:00:00Z")
    update_campaign(container, timezone="Europe/Amsterdam", send_hour=2, reminder={"choices": [2]})
    assert post_reminder(client).json["due_at"] == "2027-10-31T00:00:00Z"


def test_timezone_defaults_to_campaign(container: Container, client: FlaskClient) -> None:
    update_campaign(container, timezone="America/New_York", send_hour=7)
    assert post_reminder(client).json["due_at"] == "2026-12-23T12:00:00Z"
    assert post_reminder(client, timezone="Asia/Tokyo").json["due_at"] == "2026-12-22T22:00:00Z"


def test_months_default_to_first_choice(container: Container, client: FlaskClient) -> None:
    update_campaign(container, reminder={"choices": [3, 1]})
    assert post_reminder(client).json["due_on"] == "2027-02-23"
    assert post_reminder(client, months=1).json["due_on"] == "2026-12-23"


@pytest.mark.parametrize("months", [2, 3, 12, 24])
def test_unoffered_months_are_rejected(client: FlaskClient, container: Container, months: int) -> None:
    assert_problem(
        post_reminder(client, months=months), 422, "reminder_choice_not_offered", field="months", says="1"
    )
    assert count(container, Reminder) == count(container, Supporter) == 0


def test_reminder_is_rejected_if_disabled(client: FlaskClient, container: Container) -> None:
    update_campaign(container, reminder={"enabled": False})
    assert_problem(post_reminder(client), 422, "reminders_not_offered")
    assert count(container, Reminder) == count(container, Supporter) == 0


def test_reminder_for_unknown_campaign_is_not_found(client: FlaskClient, container: Container) -> None:
    assert_problem(post_reminder(client, campaign="none"), 404, "campaign_not_found")
    assert count(container, Supporter) == 0


def test_long_language_tag_loses_its_last_subtags(client: FlaskClient, container: Container) -> None:
    response = post_reminder(client, lang="de-AT-x-newsroom-politics-regional-vienna")
    assert response.status_code == 201
    assert only_reminder(container).lang == "de-AT-x-newsroom-politics-regional"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("months", 0),
        ("months", -1),
        ("months", 25),
        ("months", 1.0),
        ("months", "1"),
        ("months", True),
        ("months", None),
        ("months", []),
        ("repeat", "true"),
        ("repeat", None),
        ("timezone", "europe/amsterdam"),
        ("timezone", "Europe/Atlantis"),
        ("timezone", "+01:00"),
        ("timezone", "CEST"),
        ("timezone", "localtime"),
        ("timezone", "posixrules"),
        ("timezone", "../etc/passwd"),
        ("timezone", "UTC\0"),
        ("timezone", ""),
        ("timezone", 1),
        ("timezone", None),
        ("frequency", "weekly"),
        ("amount", 0),
        ("amount", 5.0),
        ("amount", "500"),
        ("amount", True),
        ("amount", 10**13),
        ("page_url", "javascript:alert(1)"),
        ("lang", "english please"),
        ("consent_version", ""),
        ("consent_version", "v" * 65),
        ("email", OMIT),
        ("email", None),
        ("email", 1),
        ("email", ["reader@example.org"]),
        ("campaign", OMIT),
        ("currency", "usd"),
        ("page_title", "a" * 201),
        ("page_title", 1),
        ("page_title", None),
        ("due_on", "tomorrow"),
        ("due_on", "2026-W50-1"),
        ("due_on", "20261224"),
        ("due_on", "2026-12-24T00:00:00Z"),
        ("due_on", "2027-02-29"),
        ("due_on", 20261224),
        ("due_on", None),
    ],
)
def test_each_reminder_field_is_validated(
    client: FlaskClient, container: Container, name: str, value: object
) -> None:
    assert_problem(post_reminder(client, **{name: value}), 422, "validation_failed", field=name)
    assert count(container, Reminder) == count(container, Supporter) == 0


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"amount": 199}, "amount_below_minimum"),
        ({"amount": 1_000_001, "frequency": "once"}, "amount_above_maximum"),
        ({"frequency": "annual"}, "frequency_not_offered"),
        ({"frequency": "annual", "amount": 500}, "frequency_not_offered"),
    ],
)
def test_reminder_with_unoffered_pledge_is_rejected(
    client: FlaskClient, container: Container, payload: dict, code: str
) -> None:
    update_campaign(container, frequencies=[{"frequency": "once"}, {"frequency": "monthly"}])
    assert_problem(post_reminder(client, **payload), 422, code)
    assert count(container, Reminder) == count(container, Supporter) == 0


def test_second_request_moves_date_of_existing_reminder_only(
    client: FlaskClient, container: Container, clock: FakeClock
) -> None:
    update_campaign(container, reminder={"choices": [1, 3]})
    post_reminder(client, amount=500, frequency="monthly", timezone="Asia/Tokyo")
    clock.advance(days=3)
    response = post_reminder(client, months=3)
    # The response is about the request, so that it does not reveal what is stored.
    assert (response.json["due_on"], response.json["due_at"]) == ("2027-02-26", "2027-02-26T09:00:00Z")
    reminder = only_reminder(container)
    assert (reminder.months, reminder.timezone, reminder.amount_minor) == (3, "Asia/Tokyo", 500)
    assert reminder.due_at.isoformat() == "2027-02-26T00:00:00+00:00"
    assert count(container, Supporter) == 1


def test_supporter_has_one_reminder_per_campaign(client: FlaskClient, container: Container) -> None:
    update_campaign(container, slug="climate")
    assert post_reminder(client).status_code == post_reminder(client, campaign="climate").status_code == 201
    assert (count(container, Reminder), count(container, Supporter)) == (2, 1)


def test_response_does_not_reveal_known_address(client: FlaskClient, container: Container) -> None:
    pay_pledge(container, post_pledge(client).json["id"], email="known@example.org")
    post_reminder(client, email="reminded@example.org")
    responses = {
        (response.status_code, response.data, tuple(sorted(name for name, _ in response.headers)))
        for response in (
            post_reminder(client, email=address)
            for address in ("known@example.org", "reminded@example.org", "new@example.org")
        )
    }
    assert len(responses) == 1

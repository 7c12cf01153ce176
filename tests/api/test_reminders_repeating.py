"""Repeating reminders: intervals, rescheduling, snoozing and cancelling."""

import datetime

import pytest
from flask.testing import FlaskClient

from schemas.enums import ReminderStatus
from service.container import Container
from service.db.models.reminder import Reminder
from service.db.models.supporter import Supporter
from service.domain.errors import InvalidTransition
from service.domain.reminders.schedule import conversion_window_start
from service.domain.reminders.status import ReminderEvent
from service.domain.reminders.transitions import schedule_next_occurrence
from tests.api.client import (
    assert_problem,
    count,
    only_reminder,
    post_reminder,
    reminder_token_for,
    update_campaign,
)
from tests.clock import FakeClock
from tests.db.factories import record_delivery

READER = "reader@example.org"


@pytest.fixture(autouse=True)
def _offer(container: Container) -> None:
    update_campaign(container, reminder={"choices": [1, 6], "repeats": [3, 1]})


def snooze(client: FlaskClient, container: Container, **payload: int):
    return client.post(f"/v1/reminders/{reminder_token_for(container, READER)}/snooze", json=payload)


def deliver(container: Container, *, month_seconds: int | None = None) -> None:
    """Mark the reminder as sent, and schedule the next occurrence if it repeats."""
    record_delivery(container, only_reminder(container).id, ReminderEvent.DELIVER)
    reschedule(container, month_seconds=month_seconds)


def reschedule(container: Container, *, month_seconds: int | None = None) -> None:
    with container.database.transaction() as session:
        reminder = session.get_one(Reminder, only_reminder(container).id)
        schedule_next_occurrence(session, reminder, now=container.clock(), month_seconds=month_seconds)


def test_first_email_is_due_after_one_interval(client: FlaskClient, container: Container) -> None:
    response = post_reminder(client, months=3, repeat=True, timezone="Europe/Amsterdam")
    assert response.status_code == 201
    promised = {"status": "scheduled", "due_on": "2027-02-23", "due_at": "2027-02-23T08:00:00Z"}
    assert response.json == promised | {"repeat": True}
    assert (only_reminder(container).months, only_reminder(container).every_months) == (3, 3)


def test_interval_defaults_to_first(client: FlaskClient, container: Container) -> None:
    assert post_reminder(client, repeat=True).json["due_on"] == "2027-02-23"


@pytest.mark.parametrize("payload", [{}, {"repeat": False}])
def test_reminder_does_not_repeat_by_default(client: FlaskClient, container: Container, payload: dict) -> None:
    assert post_reminder(client, **payload).json["repeat"] is False
    assert only_reminder(container).every_months is None


@pytest.mark.parametrize(
    ("payload", "field", "says"),
    [
        ({"months": 6, "repeat": True}, "months", "3, 1"),
        ({"months": 2, "repeat": True}, "months", "3, 1"),
        ({"months": 3}, "months", "1, 6"),
        ({"months": 3, "repeat": False}, "months", "1, 6"),
    ],
)
def test_unoffered_interval_error_names_offered_ones(
    client: FlaskClient, container: Container, payload: dict, field: str, says: str
) -> None:
    assert_problem(post_reminder(client, **payload), 422, "reminder_choice_not_offered", field=field, says=says)
    assert count(container, Reminder) == count(container, Supporter) == 0


def test_repeat_is_rejected_without_intervals(client: FlaskClient, container: Container) -> None:
    update_campaign(container, slug="once", reminder={"choices": [1]})
    response = post_reminder(client, campaign="once", months=1, repeat=True)
    assert_problem(response, 422, "reminder_choice_not_offered", field="repeat")
    update_campaign(container, slug="never", reminder={"enabled": False, "repeats": [1]})
    assert_problem(post_reminder(client, campaign="never", months=1, repeat=True), 422, "reminders_not_offered")
    assert count(container, Reminder) == 0


def test_next_occurrence_is_computed_from_request_date(
    client: FlaskClient, container: Container, clock: FakeClock
) -> None:
    clock.now = datetime.datetime(2027, 1, 31, 12, tzinfo=datetime.UTC)
    days = [post_reminder(client, months=1, repeat=True).json["due_on"]]
    for _ in range(3):
        clock.now = only_reminder(container).due_at
        deliver(container)
        days.append(str(only_reminder(container).due_on))
    assert days == ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]
    reminder = only_reminder(container)
    assert (reminder.status, reminder.occurrence) == (ReminderStatus.SCHEDULED, 4)


def test_missed_occurrences_are_not_caught_up(client: FlaskClient, container: Container, clock: FakeClock) -> None:
    post_reminder(client, months=1, repeat=True)
    clock.now = datetime.datetime(2027, 3, 30, 12, tzinfo=datetime.UTC)
    deliver(container)
    assert only_reminder(container).due_on == datetime.date(2027, 4, 23)


def test_skipped_repeating_reminder_is_rescheduled(
    client: FlaskClient, container: Container, clock: FakeClock
) -> None:
    post_reminder(client, months=1, repeat=True)
    clock.now = only_reminder(container).due_at
    record_delivery(container, only_reminder(container).id, ReminderEvent.SKIP)
    reschedule(container)
    assert (only_reminder(container).status, only_reminder(container).due_on) == (
        "scheduled",
        datetime.date(2027, 1, 23),
    )


def test_one_off_reminder_is_not_rescheduled(client: FlaskClient, container: Container, clock: FakeClock) -> None:
    post_reminder(client, months=1)
    clock.now = only_reminder(container).due_at
    deliver(container)
    assert (only_reminder(container).status, only_reminder(container).occurrence) == ("sent", 1)


def test_unfinished_reminder_is_not_rescheduled(client: FlaskClient, container: Container) -> None:
    post_reminder(client, months=1, repeat=True)
    with pytest.raises(InvalidTransition):
        reschedule(container)


def test_month_seconds_sets_interval(client: FlaskClient, container: Container, clock: FakeClock) -> None:
    post_reminder(client, months=3, repeat=True)
    asked_at = clock.now
    for seconds, next_seconds in ((0, 180), (180, 360), (359, 360), (1000, 1080)):
        clock.now = asked_at + datetime.timedelta(seconds=seconds)
        deliver(container, month_seconds=60)
        assert only_reminder(container).due_at == asked_at + datetime.timedelta(seconds=next_seconds)


def test_repeating_reminder_continues_from_snoozed_date(
    client: FlaskClient, container: Container, clock: FakeClock
) -> None:
    post_reminder(client, months=3, repeat=True)
    clock.now = datetime.datetime(2026, 12, 31, 12, tzinfo=datetime.UTC)
    response = snooze(client, container, months=1)
    promised = {"status": "scheduled", "due_on": "2027-01-31", "due_at": "2027-01-31T09:00:00Z"}
    assert response.json == promised | {"repeat": True}
    clock.now = only_reminder(container).due_at
    deliver(container)
    assert only_reminder(container).due_on == datetime.date(2027, 4, 30)


def test_interval_is_not_a_one_off_choice(client: FlaskClient, container: Container) -> None:
    post_reminder(client, months=3, repeat=True)
    assert_problem(
        snooze(client, container, months=3), 422, "reminder_choice_not_offered", field="months", says="1, 6"
    )


def test_cancel_ends_all_occurrences(client: FlaskClient, container: Container, clock: FakeClock) -> None:
    post_reminder(client, months=1, repeat=True)
    clock.now = only_reminder(container).due_at
    deliver(container)
    assert client.post(f"/v1/reminders/{reminder_token_for(container, READER)}/cancel").status_code == 204
    assert (only_reminder(container).status, only_reminder(container).every_months) == ("cancelled", None)
    # A snooze by an old link then asks for a single reminder.
    assert snooze(client, container, months=1).json["repeat"] is False


def test_repeated_sign_up_never_makes_a_standing_reminder_repeat(
    client: FlaskClient, container: Container
) -> None:
    first = post_reminder(client, months=1)
    # The response does not tell what is known of an address.
    assert post_reminder(client, months=3, repeat=True).json["repeat"] is True
    reminder = only_reminder(container)
    assert (reminder.months, reminder.every_months) == (3, None)
    assert reminder.due_on.isoformat() > first.json["due_on"]


def test_one_off_request_replaces_repeating_reminder(client: FlaskClient, container: Container) -> None:
    post_reminder(client, months=1, repeat=True)
    assert post_reminder(client, months=6).json["repeat"] is False
    assert only_reminder(container).every_months is None


@pytest.mark.parametrize("month_seconds", [None, 60])
@pytest.mark.parametrize("last", [ReminderEvent.DELIVER, ReminderEvent.SKIP])
def test_pledge_skips_only_next_occurrence(
    client: FlaskClient, container: Container, clock: FakeClock, last: ReminderEvent, month_seconds: int | None
) -> None:
    post_reminder(client, months=1, repeat=True)
    asked_at = clock.now
    if month_seconds:
        with container.database.transaction() as session:
            session.get_one(Reminder, only_reminder(container).id).due_at = asked_at + datetime.timedelta(
                seconds=60
            )
    assert conversion_start(container, month_seconds) == asked_at
    came_at = clock.now = only_reminder(container).due_at
    record_delivery(container, only_reminder(container).id, last)
    reschedule(container, month_seconds=month_seconds)
    assert conversion_start(container, month_seconds) == came_at


def conversion_start(container: Container, month_seconds: int | None) -> datetime.datetime:
    with container.database.read_only() as session:
        reminder = session.get_one(Reminder, only_reminder(container).id)
        return conversion_window_start(reminder, reminder.campaign, month_seconds=month_seconds)

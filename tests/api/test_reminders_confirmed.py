"""Reminders that the reader must confirm first, if the campaign requires it."""

import datetime

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update
from werkzeug.test import TestResponse

from schemas.enums import DeliveryOutcome, EmailStatus, ReminderStatus
from service.container import Container
from service.db.models.email import OutgoingEmail
from service.db.models.reminder import Reminder, ReminderStatusChange
from service.domain.reminders.status import ReminderEvent
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
from tests.jobs.fake_mailer import claim, email_of, enqueue_due, mark_sending

READER = "reader@example.org"
EXPECTED = {"status": "unconfirmed", "due_on": "2026-12-23", "due_at": "2026-12-23T09:00:00Z", "repeat": False}


@pytest.fixture(autouse=True)
def _confirming(container: Container) -> None:
    update_campaign(container, reminder={"choices": [1, 3], "repeats": [3], "confirm": True})


@pytest.fixture
def token(client: FlaskClient, container: Container) -> str:
    """Return the token of a reminder whose confirmation email was sent."""
    post_reminder(client)
    send_confirmation(container)
    return reminder_token_for(container, READER)


def send_confirmation(container: Container) -> None:
    record_delivery(container, only_reminder(container).id, ReminderEvent.REQUEST_CONFIRMATION)


def post(client: FlaskClient, token: str, action: str, **payload: int) -> TestResponse:
    return client.post(f"/v1/reminders/{token}/{action}", json=payload)


def state_of(container: Container) -> tuple[str, int, bool]:
    """Return the reminder's status, occurrence, and whether it awaits confirmation."""
    reminder = only_reminder(container)
    return reminder.status.value, reminder.occurrence, reminder.awaits_confirmation


def test_confirmation_email_is_due_at_once_and_due_date_is_stored(
    client: FlaskClient, container: Container
) -> None:
    response = post_reminder(client)
    assert (response.status_code, response.json) == (201, EXPECTED)
    reminder = only_reminder(container)
    assert state_of(container) == ("scheduled", 1, True)
    assert (reminder.due_at, reminder.due_on) == (container.clock(), datetime.date(2026, 12, 23))


def test_confirmed_reminder_is_due_on_requested_day(
    client: FlaskClient, container: Container, clock: FakeClock, token: str
) -> None:
    clock.advance(days=5)
    response = post(client, token, "confirm")
    assert (response.status_code, response.json) == (200, EXPECTED | {"status": "scheduled"})
    assert state_of(container) == ("scheduled", 2, False)
    assert only_reminder(container).confirmed_at == clock.now


def test_confirmed_reminder_is_due_in_reader_timezone(client: FlaskClient, container: Container) -> None:
    due_at = post_reminder(client, timezone="Pacific/Auckland").json["due_at"]
    send_confirmation(container)
    assert (
        post(client, reminder_token_for(container, READER), "confirm").json["due_at"]
        == due_at
        == "2026-12-22T20:00:00Z"
    )


def test_confirm_is_idempotent(client: FlaskClient, container: Container, token: str) -> None:
    first = post(client, token, "confirm")
    moves = count(container, ReminderStatusChange)
    again = [post(client, token, "confirm") for _ in range(3)]
    assert [(response.status_code, response.json) for response in again] == [(200, first.json)] * 3
    assert count(container, ReminderStatusChange) == moves


@pytest.mark.parametrize("status", ["scheduled", "sending", "failed"])
def test_confirm_before_delivery_is_recorded_succeeds(
    client: FlaskClient, container: Container, token: str, status: str
) -> None:
    with container.database.transaction() as session:
        session.execute(update(Reminder).values(status=ReminderStatus(status)))
    assert post(client, token, "confirm").json == EXPECTED | {"status": "scheduled"}
    assert state_of(container) == ("scheduled", 2, False)


def test_confirm_after_due_date_schedules_new_date(
    client: FlaskClient, container: Container, clock: FakeClock, token: str
) -> None:
    clock.now = datetime.datetime(2026, 12, 23, 9, tzinfo=datetime.UTC)
    assert post(client, token, "confirm").json["due_on"] == "2027-01-23"


@pytest.mark.parametrize("confirmed_before", [False, True])
def test_cancelled_reminder_cannot_be_confirmed(
    client: FlaskClient, container: Container, token: str, confirmed_before: bool
) -> None:
    if confirmed_before:
        post(client, token, "confirm")
    post(client, token, "cancel")
    assert_problem(post(client, token, "confirm"), 409, "illegal_move", says="cancelled")
    assert only_reminder(container).status == ReminderStatus.CANCELLED
    assert only_reminder(container).confirmed_at is None


def test_repeating_reminder_is_confirmed_once(client: FlaskClient, container: Container) -> None:
    assert post_reminder(client, months=3, repeat=True).json["repeat"] is True
    send_confirmation(container)
    response = post(client, reminder_token_for(container, READER), "confirm").json
    assert (response["due_on"], response["repeat"]) == ("2027-02-23", True)


def test_snooze_confirms_reminder(client: FlaskClient, container: Container, token: str) -> None:
    response = post(client, token, "snooze", months=3).json
    assert (response["status"], response["due_on"]) == ("scheduled", "2027-02-23")
    assert state_of(container) == ("scheduled", 2, False)
    assert only_reminder(container).confirmed_at == container.clock()


def test_response_does_not_reveal_confirmation(
    client: FlaskClient, container: Container, clock: FakeClock, token: str
) -> None:
    asked = post_reminder(client).json
    post(client, token, "confirm")
    known = post_reminder(client).json
    post(client, token, "cancel")
    assert (
        asked
        == known
        == post_reminder(client).json
        == post_reminder(client, email="new@example.org").json
        == EXPECTED
    )


def test_confirmed_reader_is_not_asked_again(
    client: FlaskClient, container: Container, clock: FakeClock, token: str
) -> None:
    post(client, token, "confirm")
    clock.advance(days=1)
    post_reminder(client, months=3)
    assert state_of(container) == ("scheduled", 2, False)
    assert only_reminder(container).due_at == datetime.datetime(2027, 2, 24, 9, tzinfo=datetime.UTC)


def test_reader_is_asked_again_after_cancelling(
    client: FlaskClient, container: Container, clock: FakeClock, token: str
) -> None:
    post(client, token, "confirm")
    post(client, token, "cancel")
    post_reminder(client)
    assert state_of(container) == ("scheduled", 3, True)
    assert only_reminder(container).due_at == clock.now


def test_reader_from_before_confirmation_was_required_is_asked(client: FlaskClient, container: Container) -> None:
    update_campaign(container, slug="later", reminder={"confirm": False})
    post_reminder(client, campaign="later")
    update_campaign(container, slug="later", reminder={"confirm": True})
    container.campaign_cache.get_entry("later").expires_at = 0
    post_reminder(client, campaign="later")
    assert state_of(container) == ("scheduled", 1, True)
    assert only_reminder(container).due_at == container.clock()


def test_reminder_is_sent_without_confirmation_if_no_longer_required(
    client: FlaskClient, container: Container, token: str
) -> None:
    update_campaign(container, reminder={"confirm": False})
    container.campaign_cache.get_entry("default").expires_at = 0
    assert post_reminder(client).json == EXPECTED | {"status": "scheduled"}
    assert state_of(container) == ("scheduled", 2, False)


def test_confirmation_emails_are_limited(
    client: FlaskClient, container: Container, clock: FakeClock, token: str
) -> None:
    clock.advance(minutes=59)
    post_reminder(client, months=3)
    assert state_of(container) == ("unconfirmed", 1, True)
    # A confirmation applies to the latest request.
    assert only_reminder(container).due_on == datetime.date(2027, 2, 23)
    clock.advance(minutes=1)
    post_reminder(client)
    assert state_of(container) == ("scheduled", 2, True)
    assert only_reminder(container).due_at == clock.now


def test_confirmation_emails_are_limited_after_cancellations(
    client: FlaskClient, container: Container, clock: FakeClock, token: str
) -> None:
    asked_at = clock.now
    clock.advance(minutes=10)
    post(client, token, "cancel")
    for _ in range(3):
        clock.advance(minutes=1)
        post_reminder(client)
        assert state_of(container) == ("scheduled", 2, True)
        assert only_reminder(container).due_at == asked_at + datetime.timedelta(hours=1)


def test_pending_confirmation_email_is_not_duplicated(
    client: FlaskClient, container: Container, clock: FakeClock
) -> None:
    post_reminder(client)
    asked_at = clock.now
    clock.advance(minutes=5)
    post_reminder(client, months=3)
    assert state_of(container) == ("scheduled", 1, True)
    assert only_reminder(container).due_at == asked_at
    with container.database.transaction() as session:
        enqueue_due(session, container)
    clock.advance(hours=2)
    post_reminder(client)
    assert state_of(container) == ("sending", 1, True)
    # Nor while it is being sent.
    with container.database.transaction() as session:
        [claimed] = claim(session, container)
    mark_sending(container, claimed)
    clock.advance(hours=2)
    post_reminder(client)
    assert state_of(container) == ("sending", 1, True)


def test_confirmation_email_that_waits_for_a_retry_can_be_requested_again_after_an_hour(
    client: FlaskClient, container: Container, clock: FakeClock
) -> None:
    post_reminder(client)
    reminder_id = only_reminder(container).id
    record_delivery(container, reminder_id, outcome=DeliveryOutcome.DEFERRED, status=EmailStatus.SCHEDULED)
    clock.advance(minutes=30)
    post_reminder(client)
    assert state_of(container) == ("sending", 1, True)
    waiting = email_of(container, reminder_id).id
    clock.advance(minutes=30)
    post_reminder(client)
    assert state_of(container) == ("scheduled", 2, True)
    # The retry is cancelled, so that one confirmation request arrives and not two.
    with container.database.read_only() as session:
        assert session.get_one(OutgoingEmail, waiting).status == EmailStatus.CANCELLED

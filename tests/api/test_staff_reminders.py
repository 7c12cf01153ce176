"""Reminders for staff: the list, the retry of a failed reminder, and the summary."""

import datetime

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from schemas.enums import DeliveryOutcome, PledgeStatus, ReminderStatus
from service.container import Container
from service.db.base import new_id
from service.db.models.admin import AuditEntry
from service.db.models.email import OutgoingEmail
from service.db.models.reminder import Reminder
from service.domain.reminders.status import ReminderEvent
from tests.api.client import (
    assert_problem,
    auth_headers,
    get_json,
    only_reminder,
    pay_pledge,
    post_pledge,
    post_reminder,
    update_campaign,
)
from tests.clock import FakeClock
from tests.db.factories import record_delivery

REMINDERS = "/v1/admin/reminders"


@pytest.fixture
def staff(container: Container) -> dict[str, str]:
    return auth_headers(container, "read")


def test_reminder_list_has_no_personal_data(client: FlaskClient, container: Container, staff: dict) -> None:
    post_reminder(client)
    [item] = get_json(client, staff, REMINDERS, status="scheduled", campaign="default")["items"]
    assert item == {
        "id": str(only_reminder(container).id),
        "campaign": "default",
        "status": "scheduled",
        "occurrence": 1,
        "repeat": False,
        "every_months": None,
        "awaits_confirmation": False,
        "due_on": "2026-12-23",
        "due_at": "2026-12-23T09:00:00Z",
        "asked_at": "2026-11-23T09:30:00Z",
        "sent_at": None,
        "attempts": 0,
        "reason": None,
    }
    assert get_json(client, staff, REMINDERS, due_to="2026-12-22")["items"] == []
    assert len(get_json(client, staff, REMINDERS, due_from="2026-12-23", due_to="2026-12-23")["items"]) == 1
    assert get_json(client, staff, REMINDERS, status="sent")["items"] == []


def test_reminder_list_shows_repeat_and_confirmation(
    client: FlaskClient, container: Container, staff: dict
) -> None:
    update_campaign(container, reminder={"repeats": [3], "confirm": True})
    post_reminder(client, months=3, repeat=True)
    [item] = get_json(client, staff, REMINDERS)["items"]
    assert (item["repeat"], item["every_months"], item["awaits_confirmation"]) == (True, 3, True)


def test_retried_reminder_is_due_at_once(client: FlaskClient, container: Container, clock: FakeClock) -> None:
    post_reminder(client)
    with container.database.transaction() as session:
        session.execute(
            update(Reminder).values(status=ReminderStatus.FAILED, attempts=8, reason="recipient refused")
        )
    manage = auth_headers(container, "manage")
    reminder_id = only_reminder(container).id
    response = client.post(f"{REMINDERS}/{reminder_id}/retry", headers=manage)
    assert response.status_code == 200
    promised = {"status": "scheduled", "due_on": "2026-12-23", "due_at": "2026-11-23T09:30:00Z"}
    assert response.json == promised | {"repeat": False}
    assert only_reminder(container).attempts == 0
    with container.database.read_only() as session:
        entry = session.scalars(select(AuditEntry)).one()
        assert (entry.action, entry.details) == ("retry_reminder", {"reminder": str(reminder_id)})
    again = client.post(f"{REMINDERS}/{reminder_id}/retry", headers=manage)
    assert_problem(again, 409, "illegal_move")


def test_retried_reminder_has_attempts_reset_and_same_message_id(
    client: FlaskClient, container: Container
) -> None:
    post_reminder(client)
    reminder_id = only_reminder(container).id
    record_delivery(container, reminder_id, ReminderEvent.FAIL, outcome=DeliveryOutcome.DEFERRED)
    with container.database.transaction() as session:
        session.execute(update(OutgoingEmail).values(attempts=8))
    client.post(f"{REMINDERS}/{reminder_id}/retry", headers=auth_headers(container, "manage"))
    assert only_reminder(container).occurrence == 1
    with container.database.read_only() as session:
        assert session.scalars(select(OutgoingEmail.attempts)).one() == 0


def test_retry_of_unknown_reminder_is_not_found(client: FlaskClient, container: Container) -> None:
    response = client.post(f"{REMINDERS}/{new_id()}/retry", headers=auth_headers(container, "manage"))
    assert_problem(response, 404, "reminder_not_found")


def test_summary_counts_statuses_and_payments(
    client: FlaskClient, container: Container, staff: dict, clock: FakeClock
) -> None:
    update_campaign(container, slug="yen", currency="JPY")
    pay_pledge(container, post_pledge(client).json["id"])
    pay_pledge(container, post_pledge(client, frequency="once", amount=1000).json["id"])
    pay_pledge(container, post_pledge(client, campaign="yen", currency="JPY", amount=300).json["id"])
    post_pledge(client)
    post_reminder(client)
    clock.now += datetime.timedelta(days=31)
    summary = get_json(client, staff, "/v1/admin/summary")
    assert summary["pledges"] == dict.fromkeys(PledgeStatus, 0) | {"active": 2, "completed": 1, "pending": 1}
    assert summary["reminders"] == dict.fromkeys(ReminderStatus, 0) | {"scheduled": 1}
    assert summary["paid"] == [
        {"currency": "JPY", "payments": 1, "amount": 300},
        {"currency": "USD", "payments": 2, "amount": 1200},
    ]
    assert summary["reminders_due"] == 1

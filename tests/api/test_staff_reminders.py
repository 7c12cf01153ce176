"""Reminders for staff: the list, the retry of a failed reminder, and the summary."""

import datetime
import uuid

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from schemas.enums import DeliveryOutcome, EmailStatus, PledgeStatus, ReminderStatus
from service.container import Container
from service.db.base import new_id
from service.db.models.admin import AuditEntry
from service.db.models.email import OutgoingEmail
from service.db.models.reminder import Reminder
from service.domain.ports import PermanentFailure, ReminderEmail, TemporaryFailure
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
from tests.jobs.fake_mailer import FakeMailer, claim, email_of, run_send_reminders

REMINDERS = "/v1/admin/reminders"


@pytest.fixture
def staff(container: Container) -> dict[str, str]:
    return auth_headers(container, "read")


def put_failed_reminder(client: FlaskClient, container: Container, clock: FakeClock) -> uuid.UUID:
    """Create a reminder that failed after all its attempts; return its id."""
    post_reminder(client)
    reminder_id = only_reminder(container).id
    clock.now = only_reminder(container).due_at
    record_delivery(container, reminder_id, ReminderEvent.FAIL, outcome=DeliveryOutcome.DEFERRED)
    with container.database.transaction() as session:
        session.execute(update(Reminder).values(reason="recipient refused"))
        session.execute(update(OutgoingEmail).values(attempts=8, reason="recipient refused"))
    return reminder_id


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
    reminder_id = put_failed_reminder(client, container, clock)
    manage = auth_headers(container, "manage", "read")
    [failed] = get_json(client, manage, REMINDERS, status="failed")["items"]
    assert (failed["attempts"], failed["reason"]) == (8, "recipient refused")
    clock.advance(days=2)
    response = client.post(f"{REMINDERS}/{reminder_id}/retry", headers=manage)
    assert response.status_code == 200
    promised = {"status": "sending", "due_on": "2026-12-23", "due_at": "2026-12-23T09:00:00Z"}
    assert response.json == promised | {"repeat": False}
    [shown] = get_json(client, manage, REMINDERS)["items"]
    assert (shown["status"], shown["due_at"]) == ("sending", "2026-12-25T09:00:00Z")
    assert (shown["attempts"], shown["reason"]) == (0, None)
    with container.database.transaction() as session:
        [claimed] = claim(session, container)
        assert session.get_one(OutgoingEmail, claimed.email_id).reminder_id == reminder_id
    with container.database.read_only() as session:
        entry = session.scalars(select(AuditEntry)).one()
        assert (entry.action, entry.details) == ("retry_reminder", {"reminder": str(reminder_id)})
    again = client.post(f"{REMINDERS}/{reminder_id}/retry", headers=manage)
    assert_problem(again, 409, "illegal_move")


def test_retried_reminder_has_attempts_reset_and_same_message_id(
    client: FlaskClient, container: Container, clock: FakeClock
) -> None:
    message_ids: list[str] = []

    def refuse(email: ReminderEmail) -> None:
        message_ids.append(email.message_id)
        raise PermanentFailure("recipient refused")

    post_reminder(client)
    reminder_id = only_reminder(container).id
    clock.now = only_reminder(container).due_at
    run_send_reminders(container, FakeMailer(refuse))
    client.post(f"{REMINDERS}/{reminder_id}/retry", headers=auth_headers(container, "manage"))
    assert only_reminder(container).occurrence == 1
    assert email_of(container, reminder_id).attempts == 0
    mailer = FakeMailer()
    run_send_reminders(container, mailer)
    assert [email.message_id for email in mailer.sent] == message_ids
    assert only_reminder(container).status == ReminderStatus.SENT


@pytest.mark.parametrize("status", [status for status in ReminderStatus if status != ReminderStatus.FAILED])
def test_only_failed_reminders_are_retried(
    client: FlaskClient, container: Container, clock: FakeClock, status: ReminderStatus
) -> None:
    reminder_id = put_failed_reminder(client, container, clock)
    with container.database.transaction() as session:
        session.execute(update(Reminder).values(status=status))
    response = client.post(f"{REMINDERS}/{reminder_id}/retry", headers=auth_headers(container, "manage"))
    assert_problem(response, 409, "illegal_move")
    assert email_of(container, reminder_id).status == EmailStatus.FAILED


def test_list_shows_why_and_when_the_email_of_a_reminder_is_tried_again(
    client: FlaskClient, container: Container, clock: FakeClock, staff: dict
) -> None:
    """While an email is in the outbox, its reminder is `sending`, and its row has the details."""

    def defer(_: ReminderEmail) -> None:
        raise TemporaryFailure("mailbox full (452)")

    post_reminder(client)
    clock.now = only_reminder(container).due_at
    run_send_reminders(container, FakeMailer(defer))
    email = email_of(container, only_reminder(container).id)
    assert (email.status, email.due_at > clock()) == (EmailStatus.SCHEDULED, True)
    with container.database.transaction() as session:
        session.execute(update(OutgoingEmail).values(due_at=clock() + datetime.timedelta(days=1)))
    [item] = get_json(client, staff, REMINDERS, status="sending")["items"]
    assert (item["attempts"], item["reason"]) == (1, "mailbox full (452)")
    assert (item["due_on"], item["due_at"]) == ("2026-12-23", "2026-12-24T09:00:00Z")
    # The period is that of the instant that is shown.
    assert get_json(client, staff, REMINDERS, due_from="2026-12-24")["items"] == [item]
    assert get_json(client, staff, REMINDERS, due_to="2026-12-23")["items"] == []
    clock.advance(days=1)
    run_send_reminders(container, FakeMailer())
    [item] = get_json(client, staff, REMINDERS)["items"]
    assert (item["status"], item["attempts"], item["reason"]) == ("sent", 2, None)
    assert (item["due_at"], item["sent_at"]) == ("2026-12-23T09:00:00Z", "2026-12-24T09:00:00Z")


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

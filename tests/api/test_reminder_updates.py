"""A second request updates an unattempted reminder or starts a new occurrence; a first one is four statements."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event, select

from schemas.enums import DeliveryOutcome, EmailStatus
from service.container import Container
from service.db.models.email import OutgoingEmail
from service.domain.reminders.status import ReminderEvent
from tests.api.client import (
    auth_headers,
    get_json,
    only_reminder,
    post_reminder,
    reminder_token_for,
    update_campaign,
)
from tests.clock import FakeClock
from tests.db.factories import record_delivery
from tests.jobs.fake_mailer import claim, enqueue_due

SCHEDULED, SENDING, CANCELLED = EmailStatus.SCHEDULED, EmailStatus.SENDING, EmailStatus.CANCELLED
# What happened to the reminder, and the email's outcome and status then and after another request.
ATTEMPTED = [
    (None, DeliveryOutcome.DEFERRED, SCHEDULED, CANCELLED),
    (None, DeliveryOutcome.SENDING, SCHEDULED, CANCELLED),
    (None, DeliveryOutcome.NOT_ATTEMPTED, SCHEDULED, CANCELLED),
    (None, DeliveryOutcome.SENDING, SENDING, CANCELLED),
    (ReminderEvent.DELIVER, DeliveryOutcome.ACCEPTED, EmailStatus.SENT, EmailStatus.SENT),
    (ReminderEvent.FAIL, DeliveryOutcome.REJECTED, EmailStatus.FAILED, CANCELLED),
]


def only_email(container: Container) -> OutgoingEmail:
    with container.database.read_only() as session:
        return session.scalars(select(OutgoingEmail)).one()


def request_again(client: FlaskClient, container: Container, action: str) -> None:
    if action == "sign up":
        assert post_reminder(client).status_code == 201
    else:
        token = reminder_token_for(container, "reader@example.org")
        assert client.post(f"/v1/reminders/{token}/snooze").status_code == 200


@pytest.mark.parametrize("action", ["sign up", "snooze"])
def test_unattempted_reminder_keeps_its_occurrence(
    client: FlaskClient, container: Container, clock: FakeClock, action: str
) -> None:
    post_reminder(client)
    clock.advance(days=2)
    request_again(client, container, action)
    assert (only_reminder(container).occurrence, str(only_reminder(container).due_on)) == (1, "2026-12-25")


@pytest.mark.parametrize("action", ["sign up", "snooze"])
@pytest.mark.parametrize(("last", "outcome", "status", "status_after"), ATTEMPTED)
def test_attempted_reminder_starts_new_occurrence_without_attempts_and_ends_its_email(
    client: FlaskClient,
    container: Container,
    action: str,
    last: ReminderEvent | None,
    outcome: DeliveryOutcome,
    status: EmailStatus,
    status_after: EmailStatus,
) -> None:
    post_reminder(client)
    record_delivery(container, only_reminder(container).id, last, outcome=outcome, status=status)
    request_again(client, container, action)
    reminder = only_reminder(container)
    assert (reminder.status, reminder.occurrence) == ("scheduled", 2)
    email = only_email(container)
    assert (email.status, email.leased_by, email.leased_until) == (status_after, None, None)
    # The attempt that was made stays on record, and the new occurrence has none.
    assert (email.occurrence, email.attempts, email.outcome) == (1, 1, outcome)
    [shown] = get_json(client, auth_headers(container, "read"), "/v1/admin/reminders")["items"]
    assert (shown["occurrence"], shown["attempts"], shown["reason"]) == (2, 0, None)


@pytest.mark.parametrize("action", ["sign up", "snooze"])
def test_renewed_reminder_gets_one_email_on_its_new_date(
    client: FlaskClient, container: Container, clock: FakeClock, action: str
) -> None:
    post_reminder(client)
    clock.now = only_reminder(container).due_at
    with container.database.transaction() as session:
        enqueue_due(session, container)
    request_again(client, container, action)
    # Neither the email of before nor another one is sent now.
    with container.database.transaction() as session:
        assert claim(session, container) == []
    assert only_email(container).status == CANCELLED
    clock.now = only_reminder(container).due_at
    with container.database.transaction() as session:
        [again] = claim(session, container)
    with container.database.read_only() as session:
        assert session.get_one(OutgoingEmail, again.email_id).dedup_key.endswith(":2")


@pytest.mark.parametrize(
    ("offer", "queries"),
    # A confirmation request is not sent again within an hour, so the last one is looked up.
    [({}, 2), ({"repeats": [1]}, 2), ({"confirm": True}, 3)],
    ids=["plain", "may come again", "is confirmed"],
)
def test_new_reminder_needs_three_queries_at_most_and_five_writes(
    container: Container, client: FlaskClient, offer: dict, queries: int
) -> None:
    update_campaign(container, reminder=offer)
    statements: list[str] = []

    def keep(_connection, _cursor, statement, _parameters, _context, _many):
        # The campaign cache would otherwise add a query every half second.
        if not statement.startswith("SELECT campaigns.") and "pledge_options" not in statement:
            statements.append(" ".join(statement.split()[:3]))

    event.listen(container.database.engine, "before_cursor_execute", keep)
    post_reminder(client, repeat="repeats" in offer)
    event.remove(container.database.engine, "before_cursor_execute", keep)
    # The count is of the mailbox; the update is what a repeated sign-up needs, so that both take as long.
    assert [s for s in statements if not s.startswith("SELECT")] == [
        "INSERT INTO mailbox_limits",
        "INSERT INTO supporters",
        "INSERT INTO reminders",
        "INSERT INTO reminder_status_changes",
        "UPDATE reminders SET",
    ]
    assert sum(s.startswith("SELECT") for s in statements) == queries

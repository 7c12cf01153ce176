"""A second request updates an unattempted reminder or starts a new occurrence; a first one is four statements."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event

from schemas.enums import DeliveryOutcome
from service.container import Container
from service.domain.reminders.status import ReminderEvent
from tests.api.client import only_reminder, post_reminder, reminder_token_for, update_campaign
from tests.clock import FakeClock
from tests.db.factories import record_delivery

ATTEMPTED = [
    (ReminderEvent.RETRY, DeliveryOutcome.DEFERRED),
    (ReminderEvent.RELEASE, DeliveryOutcome.SENDING),
    (ReminderEvent.RELEASE, DeliveryOutcome.NOT_ATTEMPTED),
    (ReminderEvent.DELIVER, DeliveryOutcome.ACCEPTED),
    (ReminderEvent.FAIL, DeliveryOutcome.REJECTED),
    (None, DeliveryOutcome.SENDING),
]


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
@pytest.mark.parametrize(("last", "outcome"), ATTEMPTED)
def test_attempted_reminder_starts_new_occurrence_with_attempts_reset(
    client: FlaskClient, container: Container, action: str, last: ReminderEvent | None, outcome: DeliveryOutcome
) -> None:
    post_reminder(client)
    record_delivery(container, only_reminder(container).id, last, outcome=outcome)
    request_again(client, container, action)
    reminder = only_reminder(container)
    assert (reminder.status, reminder.occurrence, reminder.attempts) == ("scheduled", 2, 0)
    assert reminder.leased_until is None
    assert reminder.leased_by is None


@pytest.mark.parametrize(
    "offer", [{}, {"repeats": [1]}, {"confirm": True}], ids=["plain", "may come again", "is confirmed"]
)
def test_new_reminder_needs_three_queries_and_five_writes(
    container: Container, client: FlaskClient, offer: dict
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
    assert sum(s.startswith("SELECT") for s in statements) == 3

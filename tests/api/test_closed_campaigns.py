"""A closed campaign: what the API, the pages and the worker do until it is reopened."""

import datetime
import json
import threading
import uuid

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from jobs.reminders import enqueue_reminders
from schemas.enums import EmailStatus, ReminderStatus, WaitingPolicy
from service.container import Container
from service.db.models.email import OutgoingEmail
from service.db.models.reminder import Reminder
from service.domain.email.queue import count_due
from service.domain.errors import RemindersWaiting
from service.domain.reminders.closing import close_campaign, reopen_campaign
from service.domain.reminders.queue import count_due_reminders, oldest_due_reminder_age
from tests.api.client import assert_problem, count
from tests.clock import FakeClock
from tests.db.factories import create_reminder
from tests.jobs.fake_mailer import claim, email_of, enqueue_due, find, status_changes

PLEDGE = {"campaign": "default", "frequency": "monthly", "amount": 200, "currency": "USD"}
REMINDER = {"campaign": "default", "email": "reader@news.example"}
HEADING = "isn’t taking donations right now"


def close(container: Container) -> None:
    close_campaign(container.database.transaction, "default", WaitingPolicy.KEEP, now=container.clock())
    container.campaign_cache._entries.clear()


def claim_due(container: Container) -> int:
    """Enqueue and claim what is due; return how many emails were claimed."""
    with container.database.transaction() as session:
        return len(claim(session, container))


def backlog(container: Container) -> tuple[int, datetime.timedelta | None]:
    """Return how many reminders are due, and for how long the oldest of them has been."""
    with container.database.read_only() as session:
        now = container.clock()
        return count_due_reminders(session, now=now), oldest_due_reminder_age(session, now=now)


def enqueued(container: Container) -> int:
    """Return how many emails are in the outbox."""
    return count(container, OutgoingEmail)


def reopen(container: Container, *, send_late: bool | None = None) -> None:
    reopen_campaign(container.database.transaction, "default", send_late=send_late, now=container.clock())
    container.campaign_cache._entries.clear()


def post_pledge(client: FlaskClient, key: str):
    return client.post("/v1/pledges", json=PLEDGE, headers={"Idempotency-Key": key})


def test_campaign_answer_says_that_it_is_closed(
    client: FlaskClient, container: Container, clock: FakeClock
) -> None:
    before = client.get("/v1/campaigns/default")
    assert before.json["closed"] is False
    clock.advance(seconds=1)
    close(container)
    closed = client.get("/v1/campaigns/default", headers={"If-None-Match": before.headers["ETag"]})
    assert closed.status_code == 200
    assert closed.json["closed"] is True
    assert HEADING in closed.json["heading"]
    assert closed.json["message"] == ["Thank you for wanting to help. Please come back another time."]
    assert closed.json["reminder"]["enabled"] is False
    assert client.get("/v1/campaigns/default?lang=ru").json["heading"].endswith("мы не принимаем взносы")
    clock.advance(seconds=1)
    reopen(container)
    assert client.get("/v1/campaigns/default").json == before.json


def test_closed_campaign_says_it_in_its_own_words(client: FlaskClient, container: Container) -> None:
    with container.database.transaction() as session:
        words = {"campaign_closed_heading": "{campaign} rests", "campaign_closed_message": "A.\n\nB."}
        session.execute(text("UPDATE campaigns SET texts = :texts"), {"texts": json.dumps({"en": words})})
    close(container)
    answer = client.get("/v1/campaigns/default").json
    assert answer["heading"].endswith(" rests")
    assert answer["message"] == ["A.", "B."]
    page = client.get("/support/default").text
    assert " rests</h1>" in page
    assert "<p>B.</p>" in page


def test_closed_campaign_takes_no_pledge_and_no_reminder(client: FlaskClient, container: Container) -> None:
    first = post_pledge(client, "before-the-campaign-closed")
    assert first.status_code == 201
    close(container)
    assert_problem(post_pledge(client, "after-the-campaign-closed"), 409, "campaign_closed")
    assert_problem(client.post("/v1/reminders", json=REMINDER), 409, "campaign_closed")
    # A repeated request gets its first answer.
    again = post_pledge(client, "before-the-campaign-closed")
    assert (again.status_code, again.text) == (201, first.text)
    reopen(container)
    assert post_pledge(client, "after-the-campaign-reopened").status_code == 201
    assert client.post("/v1/reminders", json=REMINDER).status_code == 201


@pytest.mark.parametrize("path", ["/support/default", "/support/default/reminder"])
def test_support_page_of_a_closed_campaign_has_no_form(
    client: FlaskClient, container: Container, path: str
) -> None:
    assert "<form" in client.get("/support/default").text
    close(container)
    page = client.get("/support/default")
    assert page.status_code == 200
    assert HEADING.replace("'", "&#39;") in page.text
    assert "<form" not in page.text
    form = {"frequency": "monthly", "preset_monthly": "200", "email": "reader@news.example", "months": "1"}
    posted = client.post(path, data=form)
    assert posted.status_code == 409
    assert HEADING.replace("'", "&#39;") in posted.text
    assert "<form" not in posted.text


def test_reminders_of_a_closed_campaign_wait_and_raise_no_alarm(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, "reader@news.example")
    with container.database.transaction() as session:
        session.get_one(Reminder, reminder_id).due_at = clock() - datetime.timedelta(days=1)

    close(container)
    assert claim_due(container) == 0
    assert (backlog(container), enqueued(container)) == ((0, None), 0)
    reopen(container, send_late=True)
    assert backlog(container) == (1, datetime.timedelta(days=1))
    assert claim_due(container) == 1


@pytest.fixture
def waiting_email(container: Container, clock: FakeClock) -> uuid.UUID:
    """Return the id of a reminder whose email waits in the outbox, in a campaign that was closed since."""
    reminder_id = create_reminder(container, "reader@news.example")
    with container.database.transaction() as session:
        session.get_one(Reminder, reminder_id).due_at = clock() - datetime.timedelta(days=1)
    with container.database.transaction() as session:
        enqueue_due(session, container)
    close(container)
    return reminder_id


def test_emails_that_are_in_the_outbox_wait_too_when_their_campaign_is_closed(
    container: Container, waiting_email: uuid.UUID
) -> None:
    assert claim_due(container) == 0
    assert (backlog(container), enqueued(container)) == ((0, None), 1)
    with pytest.raises(RemindersWaiting):
        reopen(container)
    reopen(container, send_late=True)
    assert backlog(container) == (1, datetime.timedelta(days=1))
    assert claim_due(container) == 1


def test_emails_of_a_closed_campaign_are_not_read_by_each_claim(
    container: Container, clock: FakeClock, waiting_email: uuid.UUID
) -> None:
    def claimable() -> int:
        """Return how many emails a claim reads in the index of what is due."""
        with container.database.read_only() as session:
            return count_due(session, now=clock())

    assert claimable() == 1
    enqueue_reminders(container, threading.Event())
    assert claimable() == 0
    clock.advance(hours=2)
    assert (claimable(), claim_due(container)) == (1, 0)
    enqueue_reminders(container, threading.Event())
    assert claimable() == 0
    reopen(container, send_late=True)
    assert claim_due(container) == 1


def test_emails_that_are_in_the_outbox_are_cancelled_with_skipped_reminders(
    container: Container, waiting_email: uuid.UUID
) -> None:
    reopen(container, send_late=False)
    assert (find(container, waiting_email).status, find(container, waiting_email).reason) == (
        ReminderStatus.SKIPPED,
        "campaign_closed",
    )
    assert email_of(container, waiting_email).status == EmailStatus.CANCELLED
    assert status_changes(container, waiting_email)[-1] == ("skip", "skipped")
    assert claim_due(container) == 0


def test_repeating_reminder_that_is_skipped_comes_on_its_next_date(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, "reader@news.example")
    with container.database.transaction() as session:
        session.execute(text("UPDATE campaigns SET reminder_repeats = '[1]'"))
        session.get_one(Reminder, reminder_id).every_months = 1
    close(container)
    clock.advance(days=40)
    reopen(container, send_late=False)
    with container.database.read_only() as session:
        reminder = session.get_one(Reminder, reminder_id)
        assert (reminder.status, reminder.reason, reminder.occurrence) == ("scheduled", None, 2)
        assert reminder.due_at > clock()

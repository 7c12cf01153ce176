"""Cancelling a reminder suppresses the address for that campaign until the reader confirms a new request."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import LargeBinary, func, select, type_coerce, update

from schemas.enums import ReminderStatus, SuppressionReason
from service.container import Container
from service.db.models.reminder import Reminder
from service.db.models.supporter import EMAIL_TYPE, Supporter
from service.domain.email.suppression import lift_suppression, suppress
from tests.api.client import only_reminder, post_reminder, reminder_token_for, update_campaign
from tests.api.email_webhook_payloads import READER, all_suppressions, suppressions_for
from tests.clock import FakeClock
from tests.jobs.fake_mailer import FakeMailer, run_send_reminders
from tests.pages.html import parse_forms

UNSUBSCRIBED = {"default": SuppressionReason.UNSUBSCRIBE}


@pytest.fixture
def token(client: FlaskClient, container: Container) -> str:
    """Return the token of a reminder email."""
    post_reminder(client, timezone="UTC")
    return reminder_token_for(container, READER)


def cancel_by_api(client: FlaskClient, token: str) -> int:
    return client.post(f"/v1/reminders/{token}/cancel").status_code


def cancel_by_one_click(client: FlaskClient, token: str) -> int:
    return client.post(f"/v1/reminders/{token}/cancel", data={"List-Unsubscribe": "One-Click"}).status_code


def cancel_by_page(client: FlaskClient, token: str) -> int:
    [form] = [
        candidate
        for candidate in parse_forms(client.get(f"/r/{token}").text)
        if candidate.action.endswith("/cancel")
    ]
    return client.post(form.action, data=form.fields).status_code


CANCEL_ROUTES = [cancel_by_api, cancel_by_one_click, cancel_by_page]


@pytest.mark.parametrize("cancel", CANCEL_ROUTES)
def test_every_cancel_route_suppresses_address_for_campaign(
    client: FlaskClient, container: Container, token: str, cancel
) -> None:
    assert suppressions_for(container) == {}
    assert cancel(client, token) < 400
    assert suppressions_for(container) == UNSUBSCRIBED
    [row] = all_suppressions(container)
    assert row.at == container.clock()


def test_viewing_reminder_does_not_suppress_address(client: FlaskClient, container: Container, token: str) -> None:
    client.get(f"/r/{token}")
    client.get(f"/v1/reminders/{token}/cancel")
    client.post("/v1/reminders/nonsense/cancel")
    assert all_suppressions(container) == []


def test_second_cancel_keeps_one_suppression(client: FlaskClient, container: Container, token: str) -> None:
    for _ in range(3):
        assert cancel_by_one_click(client, token) == 204
    assert suppressions_for(container) == UNSUBSCRIBED


@pytest.mark.parametrize("cancel", CANCEL_ROUTES[:2])
def test_cancel_after_lifted_suppression_suppresses_again(
    client: FlaskClient, container: Container, token: str, clock: FakeClock, cancel
) -> None:
    assert cancel(client, token) == 204
    with container.database.transaction() as session:
        assert lift_suppression(session, READER) == 1
    clock.advance(hours=1)
    assert cancel(client, token) == 204
    assert suppressions_for(container) == UNSUBSCRIBED
    [row] = all_suppressions(container)
    assert row.at == clock()


def test_cancel_of_sent_reminder_suppresses_address(
    client: FlaskClient, container: Container, token: str, clock: FakeClock
) -> None:
    clock.advance(days=31)
    run_send_reminders(container, FakeMailer())
    assert only_reminder(container).status == ReminderStatus.SENT
    assert cancel_by_one_click(client, token) == 204
    assert suppressions_for(container) == UNSUBSCRIBED


def test_suppression_is_limited_to_campaign(
    client: FlaskClient, container: Container, token: str, clock: FakeClock
) -> None:
    update_campaign(container, slug="climate")
    post_reminder(client, campaign="climate", timezone="UTC")
    cancel_by_api(client, token)
    clock.advance(days=31)
    post = FakeMailer()
    run_send_reminders(container, post)
    assert post.addresses == [READER]


@pytest.mark.parametrize("again", ["confirmed sign-up", "snooze"])
def test_reader_lifts_unsubscribe_by_a_link(
    client: FlaskClient, container: Container, token: str, clock: FakeClock, again: str
) -> None:
    cancel_by_page(client, token)
    clock.advance(hours=1)
    if again == "confirmed sign-up":
        post_reminder(client, timezone="UTC")
        assert client.post(f"/v1/reminders/{token}/confirm").status_code == 200
    else:
        assert client.post(f"/v1/reminders/{token}/snooze", json={"months": 1}).status_code == 200
    clock.advance(days=31)
    post = FakeMailer()
    run_send_reminders(container, post)
    assert post.addresses == [READER]


def test_complaint_ends_repeating_reminder(client: FlaskClient, container: Container, clock: FakeClock) -> None:
    update_campaign(container, reminder={"choices": [1], "repeats": [1]})
    post_reminder(client, timezone="UTC", months=1, repeat=True)
    post = FakeMailer()
    clock.advance(days=31)
    run_send_reminders(container, post)
    with container.database.transaction() as session:
        suppress(session, READER, reason=SuppressionReason.COMPLAINT, now=clock())
    for _ in range(3):
        clock.advance(days=31)
        run_send_reminders(container, post)
    assert len(post.sent) == 1
    assert only_reminder(container).status == ReminderStatus.SKIPPED


def test_cancel_works_for_undecryptable_address(client: FlaskClient, container: Container, token: str) -> None:
    broken = type_coerce(func.substr(type_coerce(Supporter.email, LargeBinary), 1, 20), EMAIL_TYPE)
    with container.database.transaction() as session:
        session.execute(update(Supporter).values(email=broken))
    assert cancel_by_one_click(client, token) == 204
    with container.database.read_only() as session:
        assert session.scalar(select(Reminder.status)) == ReminderStatus.CANCELLED
    assert all_suppressions(container) == []

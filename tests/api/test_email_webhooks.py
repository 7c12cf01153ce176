"""Webhooks of Postmark and Mailgun suppress the reported addresses."""

import datetime
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from flask.testing import FlaskClient

from schemas.enums import ReminderStatus, SuppressionReason
from service.container import Container
from service.settings import Settings
from tests.api.client import only_reminder, post_reminder
from tests.api.email_webhook_payloads import (
    KEY,
    READER,
    all_suppressions,
    bounce,
    complaint,
    event,
    failure,
    post_mailgun,
    post_postmark,
    subscription,
    suppressions_for,
)
from tests.clock import FakeClock
from tests.conftest import settings_for
from tests.jobs.fake_mailer import FakeMailer, run_send_reminders

HARD, COMPLAINT, UNSUBSCRIBE = (
    SuppressionReason.HARD_BOUNCE,
    SuppressionReason.COMPLAINT,
    SuppressionReason.UNSUBSCRIBE,
)


@pytest.fixture
def settings(migrated_database: str) -> Settings:
    """Return settings with the credentials of both services."""
    return settings_for(migrated_database, POSTMARK_WEBHOOK_LOGIN="desk:a long pass:word", MAILGUN_WEBHOOK_KEY=KEY)


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        (bounce(), HARD),
        (bounce(Type="BadEmailAddress", TypeCode=100000), HARD),
        (bounce(Type="SMTPApiError", TypeCode=100007), HARD),
        (bounce(Type="SpamComplaint", TypeCode=100001), COMPLAINT),
        (bounce(Type="Unsubscribe", TypeCode=16), UNSUBSCRIBE),
        (bounce(Type="ManuallyDeactivated", TypeCode=100002), UNSUBSCRIBE),
        (complaint(), COMPLAINT),
        (subscription(), UNSUBSCRIBE),
        (subscription(SuppressionReason=None), UNSUBSCRIBE),
        (subscription(SuppressionReason="HardBounce"), HARD),
        (subscription(SuppressionReason="SpamComplaint"), COMPLAINT),
        (bounce(Type="SoftBounce", TypeCode=4096, Inactive=False), None),
        (bounce(Type="Transient", TypeCode=2, Inactive=False), None),
        (bounce(Type="AutoResponder", TypeCode=64, Inactive=False), None),
        (bounce(Type="Blocked", TypeCode=100006, Inactive=False), None),
        (bounce(Type="DMARCPolicy", TypeCode=100009, Inactive=False), None),
        (subscription(SuppressSending=False, SuppressionReason=None), None),
        ({"RecordType": "Delivery", "Recipient": READER, "DeliveredAt": "2026-11-23T09:25:00Z"}, None),
        ({"RecordType": "Open", "Recipient": READER}, None),
        ({"RecordType": "SomethingNew", "Email": READER, "Inactive": True}, None),
    ],
    ids=lambda part: f"{part['RecordType']} {part.get('Type', '')}" if isinstance(part, dict) else str(part),
)
def test_postmark_webhook_suppresses_address(
    client: FlaskClient, container: Container, report: dict[str, object], reason: SuppressionReason | None
) -> None:
    response = post_postmark(client, report)
    assert (response.status_code, response.json) == (200, {"suppressed": 0 if reason is None else 1})
    assert suppressions_for(container) == ({} if reason is None else {"*": reason})


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        (failure(), HARD),
        (failure(reason="generic"), HARD),
        (failure(reason="suppress-bounce", code=605), HARD),
        (failure(reason="suppress-complaint", code=607), COMPLAINT),
        (failure(reason="suppress-unsubscribe", code=606), UNSUBSCRIBE),
        (event("failed", severity="permanent"), HARD),
        (event("complained"), COMPLAINT),
        (event("unsubscribed"), UNSUBSCRIBE),
        (failure(severity="temporary", code=451, reason="generic"), None),
        (failure(code=602, reason="old"), None),
        (event("failed"), None),
        (event("delivered"), None),
        (event("opened"), None),
        (event("something-new", severity="permanent"), None),
        ({"event": "complained"}, None),
    ],
    ids=lambda part: f"{part['event']} {part.get('reason', '')}" if isinstance(part, dict) else str(part),
)
def test_mailgun_webhook_suppresses_address(
    client: FlaskClient, container: Container, report: dict[str, object], reason: SuppressionReason | None
) -> None:
    response = post_mailgun(client, container, report)
    assert (response.status_code, response.json) == (200, {"suppressed": 0 if reason is None else 1})
    assert suppressions_for(container) == ({} if reason is None else {"*": reason})


def test_duplicate_email_webhook_changes_nothing(
    client: FlaskClient, container: Container, clock: FakeClock
) -> None:
    before = None
    for _ in range(3):
        for response in (post_postmark(client, bounce()), post_postmark(client, subscription())):
            assert (response.status_code, response.json) == (200, {"suppressed": 1})
        [row] = all_suppressions(container)
        before = before or (row.email_hash, row.reason, row.at)
        assert (row.email_hash, row.reason, row.at) == before
        clock.advance(hours=1)


def test_concurrent_email_webhooks_create_one_suppression(app: Flask, container: Container) -> None:
    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda _: post_postmark(app.test_client(), bounce()), range(24)))
    assert {(response.status_code, response.json["suppressed"]) for response in responses} == {(200, 1)}
    assert [row.reason for row in all_suppressions(container)] == [HARD]


def test_email_webhook_normalises_address(client: FlaskClient, container: Container) -> None:
    post_postmark(client, bounce(Email=" READER@Example.ORG "))
    assert suppressions_for(container, "Reader@example.org") == suppressions_for(container) == {"*": HARD}


@pytest.mark.parametrize("address", ["nobody", "", "a@b@c", "x" * 400 + "@example.org", "a\0@example.org", None])
def test_email_webhook_ignores_invalid_address(
    client: FlaskClient, container: Container, address: str | None
) -> None:
    for response in (
        post_postmark(client, bounce(Email=address)),
        post_mailgun(client, container, event("complained", recipient=address)),
    ):
        assert (response.status_code, response.json) == (200, {"suppressed": 0})
    assert all_suppressions(container) == []


def test_scheduled_reminder_to_bounced_address_is_skipped(
    client: FlaskClient, container: Container, clock: FakeClock
) -> None:
    post_reminder(client, timezone="UTC")
    post_mailgun(client, container, event("complained"))
    clock.advance(days=31)
    post = FakeMailer()
    run_send_reminders(container, post)
    assert post.sent == []
    reminder = only_reminder(container)
    assert (reminder.status, reminder.reason) == (ReminderStatus.SKIPPED, "suppressed: complaint")


def test_late_unsubscribe_webhook_does_not_suppress_newer_sign_up(
    client: FlaskClient, container: Container, clock: FakeClock
) -> None:
    # The event is from 09:25 and the sign-up from 09:30, but the webhook arrives hours later.
    post_reminder(client, timezone="UTC")
    clock.advance(hours=4)
    assert post_postmark(client, subscription()).json == {"suppressed": 1}
    clock.advance(days=31)
    post = FakeMailer()
    run_send_reminders(container, post)
    assert post.addresses == [READER]


@pytest.mark.parametrize("bounced_at", ["2031-01-01T00:00:00Z", "yesterday", "2026-11-23T09:25:00", None, ""])
def test_email_webhook_with_impossible_time_counts_as_now(
    client: FlaskClient, container: Container, bounced_at: str | None
) -> None:
    post_postmark(client, bounce(BouncedAt=bounced_at))
    assert [row.at for row in all_suppressions(container)] == [container.clock()]


def test_stronger_suppression_reason_is_kept(client: FlaskClient, container: Container) -> None:
    post_postmark(client, subscription())
    post_mailgun(client, container, event("complained"))
    post_postmark(client, subscription(ChangedAt="2026-11-23T09:29:00Z"))
    assert suppressions_for(container) == {"*": COMPLAINT}
    [row] = all_suppressions(container)
    assert row.at == datetime.datetime.fromtimestamp(1795425900.123456, datetime.UTC)

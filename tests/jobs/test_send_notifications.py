"""Sending notifications: each once, failures with a reason, and irrelevant ones skipped."""

import datetime

import pytest
from sqlalchemy import func, select, text

from jobs.email_queue import MAX_BATCH_SIZE
from jobs.emails import send_emails, send_urgent_emails
from jobs.reminders import enqueue_reminders
from schemas.enums import EmailKind, EmailStatus, PledgeStatus, SuppressionReason
from service.container import Container
from service.db.models.email import DevOutboxEmail, OutgoingEmail
from service.db.models.sign_in import SignIn
from service.domain.email.counters import read_counters
from service.domain.email.delivery import MAX_ATTEMPTS
from service.domain.email.suppression import suppress
from service.domain.ports import (
    NotificationEmail,
    PermanentFailure,
    ServerMisconfigured,
    ServerUnavailable,
    TemporaryFailure,
)
from service.domain.supporters import erase_supporter
from tests.api.client import update_campaign
from tests.clock import FakeClock
from tests.db.factories import create_reminder
from tests.jobs.fake_mailer import READER, FakeMailer, email_of, stopped_event, with_mailer
from tests.jobs.notifications import change_pledge, enqueue, find, put_pledge, run
from tests.threads import RUNNING

FAR_FUTURE = datetime.date(2030, 1, 1)
MICROSECOND = datetime.timedelta(microseconds=1)
# Ninety days before the fake clock's start.
LONG_AGO = datetime.datetime(2026, 8, 25, 9, 30, tzinfo=datetime.UTC)


def test_notification_is_sent_once(container: Container) -> None:
    notification_id = enqueue(container, EmailKind.RECEIPT)
    mailer = FakeMailer()
    for _ in range(3):
        run(container, mailer)
    assert mailer.addresses == [READER]
    notification = find(container, notification_id)
    assert (notification.status, notification.outcome, notification.attempts) == ("sent", "accepted", 1)
    assert (notification.leased_by, notification.leased_until, notification.smtp_reply) == (None, None, "250 OK")
    with container.database.read_only() as session:
        assert read_counters(session)["sent"] == 1


def test_notifications_are_sent_on_sqlite(sqlite_container: Container) -> None:
    for number in range(45):
        enqueue(sqlite_container, EmailKind.RECEIPT, to=f"reader-{number}@news.example")
    enqueue(sqlite_container, EmailKind.SIGN_IN)
    assert run(sqlite_container)["sent"] == 46
    with sqlite_container.database.read_only() as session:
        assert session.scalar(select(func.count()).select_from(DevOutboxEmail)) == 46


def test_sign_in_link_is_sent_before_receipts(container: Container, clock: FakeClock) -> None:
    for number in range(25):
        enqueue(container, EmailKind.RECEIPT, to=f"reader-{number}@news.example")
    clock.advance(minutes=1)
    enqueue(container, EmailKind.SIGN_IN, to="waiting@news.example")
    mailer = FakeMailer()
    run(container, mailer)
    assert mailer.addresses[0] == "waiting@news.example"
    assert len(mailer.addresses) == 26


def test_urgent_emails_include_no_reminder(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, "waiting@news.example")
    clock.advance(days=32)
    enqueue(container, EmailKind.RECEIPT)
    assert enqueue_reminders(container, RUNNING)["enqueued"] == 1
    mailer = FakeMailer()
    run(container, mailer)
    assert mailer.addresses == [READER]
    assert email_of(container, reminder_id).status == EmailStatus.SCHEDULED


def test_receipts_and_reminders_leave_together_and_the_sign_in_link_first(
    container: Container, clock: FakeClock
) -> None:
    # More than a batch, and older than what is more urgent.
    for number in range(MAX_BATCH_SIZE + 1):
        create_reminder(container, f"reader-{number}@news.example")
    clock.advance(days=32)
    enqueue_reminders(container, RUNNING)
    enqueue(container, EmailKind.RECEIPT, to="payer@news.example")
    clock.advance(minutes=1)
    enqueue(container, EmailKind.SIGN_IN, to="waiting@news.example")
    mailer = FakeMailer()
    assert send_emails(with_mailer(container, mailer), RUNNING)["sent"] == MAX_BATCH_SIZE + 3
    assert mailer.addresses[:3] == ["waiting@news.example", "payer@news.example", "reader-0@news.example"]
    assert len(set(mailer.addresses)) == MAX_BATCH_SIZE + 3


def test_notification_is_retried_up_to_the_maximum_attempts(container: Container, clock: FakeClock) -> None:
    notification_id = enqueue(container, EmailKind.RECEIPT)
    message_ids: set[str] = set()

    def defer(email: NotificationEmail) -> None:
        message_ids.add(email.message_id)
        raise TemporaryFailure("greylisted (450)")

    for attempt in range(1, MAX_ATTEMPTS + 1):
        run(container, FakeMailer(defer))
        notification = find(container, notification_id)
        assert notification.attempts == attempt
        assert notification.reason == "greylisted (450)"
        clock.now = max(clock.now, notification.due_at)
    assert notification.status == EmailStatus.FAILED
    assert len(message_ids) == 1


def test_hard_bounce_fails_the_notification_and_suppresses_the_address(container: Container) -> None:
    first, second = (
        enqueue(container, EmailKind.RECEIPT),
        enqueue(container, EmailKind.CANCELLED, event_date=FAR_FUTURE),
    )

    def bounce(_: NotificationEmail) -> None:
        raise PermanentFailure("no such mailbox (550)", is_hard_bounce=True)

    attempted = []
    run(container, FakeMailer(lambda email: (attempted.append(email.to), bounce(email))))
    assert find(container, first).status == EmailStatus.FAILED
    third = enqueue(container, EmailKind.RECEIPT)
    run(container, FakeMailer())
    assert (find(container, third).status, find(container, third).reason) == ("skipped", "suppressed: hard_bounce")
    assert find(container, second).status == EmailStatus.FAILED


@pytest.mark.parametrize(
    ("reason", "is_sent"),
    [
        (SuppressionReason.UNSUBSCRIBE, True),
        (SuppressionReason.COMPLAINT, False),
        (SuppressionReason.HARD_BOUNCE, False),
        (SuppressionReason.ERASURE, False),
    ],
)
def test_unsubscribed_reader_still_gets_receipts(
    container: Container, clock: FakeClock, reason: SuppressionReason, is_sent: bool
) -> None:
    notification_id = enqueue(container, EmailKind.RECEIPT)
    clock.advance(seconds=1)
    with container.database.transaction() as session:
        suppress(session, READER, reason=reason, now=clock())
    mailer = FakeMailer()
    run(container, mailer)
    assert len(mailer.sent) == is_sent
    assert find(container, notification_id).status == ("sent" if is_sent else "skipped")


def test_erasure_deletes_notifications_and_sign_ins(container: Container) -> None:
    enqueue(container, EmailKind.RECEIPT)
    enqueue(container, EmailKind.SIGN_IN)
    with container.database.transaction() as session:
        erase_supporter(session, READER, now=container.clock())
    mailer = FakeMailer()
    run(container, mailer)
    assert mailer.sent == []
    with container.database.read_only() as session:
        assert session.scalar(select(func.count()).select_from(OutgoingEmail)) == 0
        assert session.scalar(select(func.count()).select_from(SignIn)) == 0


@pytest.mark.parametrize(
    ("kind", "event_date", "changes", "reason"),
    [
        (EmailKind.PAYMENT_FAILED, None, {"status": PledgeStatus.ACTIVE}, "not_past_due"),
        (EmailKind.PAYMENT_FAILED, None, {"status": PledgeStatus.CANCELLED}, "not_past_due"),
        (EmailKind.PAYMENT_FAILED, None, {"status": PledgeStatus.PAST_DUE}, None),
        (EmailKind.RENEWAL, FAR_FUTURE, {"status": PledgeStatus.CANCELLED}, "ended"),
        (EmailKind.RENEWAL, datetime.date(2026, 11, 22), {}, "date_passed"),
        (EmailKind.RENEWAL, datetime.date(2026, 11, 23), {}, None),
        (EmailKind.RENEWAL, FAR_FUTURE, {"status": PledgeStatus.PAST_DUE}, None),
        (EmailKind.RENEWAL, FAR_FUTURE, {"cancel_requested_at": LONG_AGO}, "ended"),
        (EmailKind.RENEWAL, FAR_FUTURE, {}, None),
        (EmailKind.CANCELLED, FAR_FUTURE, {"status": PledgeStatus.CANCELLED}, None),
        (EmailKind.CANCELLED, None, {"status": PledgeStatus.CANCELLED, "ended_at": LONG_AGO}, "too_old"),
        (
            EmailKind.CANCELLED,
            None,
            {"status": PledgeStatus.CANCELLED, "ended_at": LONG_AGO + MICROSECOND},
            None,
        ),
        (EmailKind.RECEIPT, None, {"supporter_id": None}, None),
    ],
)
def test_irrelevant_notification_is_skipped_with_a_reason(
    container: Container,
    kind: EmailKind,
    event_date: datetime.date | None,
    changes: dict,
    reason: str | None,
) -> None:
    pledge_id = put_pledge(container)
    notification_id = enqueue(container, kind, pledge_id=pledge_id, event_date=event_date)
    change_pledge(container, pledge_id, **({"amount_minor": 500} | changes))
    mailer = FakeMailer()
    run(container, mailer)
    assert (find(container, notification_id).status, find(container, notification_id).reason) == (
        ("sent", None) if reason is None else ("skipped", reason)
    )
    assert len(mailer.sent) == (reason is None)


@pytest.mark.parametrize(
    ("paid_at", "expected"), [(LONG_AGO, ("skipped", "too_old")), (LONG_AGO + MICROSECOND, ("sent", None))]
)
def test_receipt_is_not_sent_ninety_days_after_the_payment(
    container: Container, paid_at: datetime.datetime, expected: tuple[str, str | None]
) -> None:
    notification_id = enqueue(container, EmailKind.RECEIPT, paid_at=paid_at)
    run(container, FakeMailer())
    assert (find(container, notification_id).status, find(container, notification_id).reason) == expected


def test_notification_dates_are_in_the_campaign_timezone(container: Container, clock: FakeClock) -> None:
    update_campaign(container, timezone="Pacific/Auckland")
    # In Auckland it is noon on the 24th.
    clock.now = clock.now.replace(hour=23, minute=0)
    yesterday, today = datetime.date(2026, 11, 23), datetime.date(2026, 11, 24)
    enqueue(container, EmailKind.RECEIPT, to="paid@news.example")
    for number, day in enumerate((yesterday, today)):
        missed = put_pledge(container, to=f"missed-{number}@news.example", status=PledgeStatus.PAST_DUE)
        enqueue(
            container,
            EmailKind.PAYMENT_FAILED,
            to=f"missed-{number}@news.example",
            pledge_id=missed,
            event_date=day,
        )
        enqueue(container, EmailKind.RENEWAL, to=f"renews-{number}@news.example", event_date=day)
    mailer = FakeMailer()
    assert run(container, mailer)["skipped"] == 1
    assert {email.to.partition("@")[0]: email.event_date for email in mailer.sent} == {
        "paid": today,
        # The date of the next attempt is left out once it has passed.
        "missed-0": None,
        "missed-1": today,
        # The renewal of yesterday is skipped.
        "renews-1": today,
    }


def test_notification_that_cannot_be_built_fails_alone(container: Container) -> None:
    bad, good = (
        enqueue(container, EmailKind.RECEIPT, to="bad@news.example"),
        enqueue(container, EmailKind.RECEIPT),
    )
    with container.database.transaction() as session:
        garbage = text("UPDATE supporters SET email = 'garbage' WHERE id = :id")
        session.execute(garbage, {"id": find(container, bad).supporter_id})
    assert run(container)["failed"] == 1
    assert find(container, good).status == EmailStatus.SENT
    assert find(container, bad).reason == "could not be written: no key of SECRET_KEYS opens its address"


def test_server_outage_costs_no_notification_attempt(container: Container) -> None:
    notification_id = enqueue(container, EmailKind.RECEIPT)

    def refuse_connection() -> None:
        raise ServerUnavailable("connection refused")

    with pytest.raises(ServerUnavailable):
        run(container, FakeMailer(on_connect=refuse_connection))
    assert (find(container, notification_id).status, find(container, notification_id).attempts) == ("scheduled", 0)


def test_misconfigured_server_costs_no_notification_attempt(container: Container) -> None:
    notification_id = enqueue(container, EmailKind.RECEIPT)

    def misconfigure(_: NotificationEmail) -> None:
        raise ServerMisconfigured("login refused (535)")

    for _ in range(MAX_ATTEMPTS + 1):
        with pytest.raises(ServerMisconfigured):
            run(container, FakeMailer(misconfigure))
        notification = find(container, notification_id)
        assert (notification.status, notification.attempts) == ("scheduled", 0)
        assert notification.reason == "login refused (535)"
    assert run(container, FakeMailer())["sent"] == 1
    assert (find(container, notification_id).status, find(container, notification_id).attempts) == ("sent", 1)


def test_stopping_worker_claims_no_notification(container: Container) -> None:
    notification_id = enqueue(container, EmailKind.RECEIPT)
    send_urgent_emails(with_mailer(container, FakeMailer()), stopped_event())
    assert find(container, notification_id).lease_number == 0

"""Failures of the mail server, and whether they cost a reminder an attempt."""

import dataclasses
import threading

import pytest

from schemas.enums import EmailStatus, ReminderStatus
from service.container import Container
from service.domain.circuit_breaker import CircuitBreaker
from service.domain.email.delivery import UNCERTAIN
from service.domain.ports import (
    PermanentFailure,
    ReminderEmail,
    ServerMisconfigured,
    ServerUnavailable,
    UncertainDelivery,
)
from tests.clock import FakeClock
from tests.db.factories import create_reminder
from tests.jobs.fake_mailer import (
    READER,
    FakeMailer,
    email_of,
    find,
    run_send_reminders,
    send_reminders,
    status_changes,
    with_mailer,
    without_sending_hours,
)


def test_server_outage_costs_no_attempt(container: Container, clock: FakeClock) -> None:
    reminder_ids = [create_reminder(container, f"reader-{number}@news.example") for number in range(3)]
    clock.advance(days=32)

    def refuse_connection() -> None:
        raise ServerUnavailable("connection refused")

    mailer = FakeMailer(on_connect=refuse_connection)
    container = with_mailer(container, mailer)
    with pytest.raises(ServerUnavailable):
        send_reminders(container, threading.Event())
    assert mailer.connects == 1
    emails = [email_of(container, reminder_id) for reminder_id in reminder_ids]
    assert [(email.status, email.attempts) for email in emails] == [(EmailStatus.SCHEDULED, 0)] * 3
    for _ in range(3):
        assert send_reminders(container, threading.Event()) is None
    assert mailer.connects == 1
    clock.advance(minutes=1)
    with pytest.raises(ServerUnavailable):
        send_reminders(container, threading.Event())
    # Nothing is claimed until a probe finds the server back.
    assert email_of(container, reminder_ids[0]).lease_number == 1
    assert [event for event, _ in status_changes(container, reminder_ids[0])] == ["made", "enqueue"]
    clock.advance(minutes=1)
    mailer.on_connect = lambda: None
    assert send_reminders(container, threading.Event())["sent"] == 3
    assert len(mailer.sent) == 3


def test_server_closing_during_a_batch_costs_the_current_email_one_attempt(
    container: Container, clock: FakeClock
) -> None:
    first, second = create_reminder(container, "a@news.example"), create_reminder(container, "b@news.example")
    clock.advance(days=32)

    def close_service(_: ReminderEmail) -> None:
        raise ServerUnavailable("service closing (421)")

    with pytest.raises(ServerUnavailable):
        run_send_reminders(container, FakeMailer(close_service))
    current, next_one = email_of(container, first), email_of(container, second)
    assert (current.attempts, next_one.attempts) == (1, 0)
    assert next_one.due_at <= clock() < current.due_at


def test_misconfigured_server_stops_the_run_and_costs_no_attempt(container: Container, clock: FakeClock) -> None:
    reminder_ids = [create_reminder(container, f"reader-{number}@news.example") for number in range(3)]
    clock.advance(days=32)

    def misconfigure(_: ReminderEmail) -> None:
        raise ServerMisconfigured("sender refused (550)")

    attempted: list[str] = []
    mailer = FakeMailer(lambda email: (attempted.append(email.to), misconfigure(email)))
    container = with_mailer(container, mailer)
    with pytest.raises(ServerMisconfigured):
        send_reminders(container, threading.Event())
    clock.advance(minutes=2)
    assert send_reminders(container, threading.Event()) is None
    assert attempted == ["reader-0@news.example"]
    emails = [email_of(container, reminder_id) for reminder_id in reminder_ids]
    assert {(email.status, email.attempts) for email in emails} == {(EmailStatus.SCHEDULED, 0)}
    assert emails[0].reason == "sender refused (550)"
    clock.advance(minutes=5)
    mailer.on_send = lambda _: None
    assert send_reminders(container, threading.Event())["sent"] == 3


def test_circuit_breaker_backoff_grows_and_resets_on_success(clock: FakeClock) -> None:
    breaker, backoffs = CircuitBreaker(), []
    for _ in range(8):
        breaker.record_failure(clock(), needs_operator=False)
        breaker.record_failure(clock(), needs_operator=False)
        seconds = 0
        while not breaker.allows_request(clock()):
            clock.advance(seconds=1)
            seconds += 1
        backoffs.append(seconds)
    for number, seconds in enumerate(backoffs):
        maximum = min(5 * 2**number, 60)
        assert maximum / 2 <= seconds <= maximum + 1
    breaker.record_failure(clock(), needs_operator=False)
    breaker.record_success()
    assert breaker.allows_request(clock())


def backoff_after_failure(container: Container, clock: FakeClock) -> float:
    """Record a failure; return for how many seconds the circuit breaker stays open."""
    container.smtp_breaker.record_failure(clock(), needs_operator=False)
    began = clock()
    while not container.smtp_breaker.allows_request(clock()):
        clock.advance(seconds=0.5)
    return (clock() - began).total_seconds()


def test_accepted_email_resets_the_circuit_breaker(container: Container, clock: FakeClock) -> None:
    container = with_mailer(without_sending_hours(container), FakeMailer())
    for _ in range(5):
        backoff_after_failure(container, clock)
    assert container.smtp_breaker.has_failed_recently
    create_reminder(container, READER)
    clock.advance(days=32)
    assert send_reminders(container, threading.Event())["sent"] == 1
    assert not container.smtp_breaker.has_failed_recently
    # The first backoff is at most five seconds, the sixth at least 30.
    assert backoff_after_failure(container, clock) <= 5.5


def test_server_is_not_probed_when_nothing_is_due(container: Container, clock: FakeClock) -> None:
    mailer = FakeMailer()
    container = with_mailer(container, mailer)
    backoff_after_failure(container, clock)
    assert send_reminders(container, threading.Event()) == {}
    assert mailer.connects == 0
    assert container.smtp_breaker.has_failed_recently


@pytest.mark.parametrize("hold", [False, True])
def test_uncertain_delivery_is_resent_or_held_by_setting(
    container: Container, clock: FakeClock, hold: bool
) -> None:
    reminder_id = create_reminder(container, READER)
    clock.advance(days=32)
    mail = dataclasses.replace(container.settings.mail, hold_uncertain=hold, respect_sending_hours=False)
    container = dataclasses.replace(container, settings=dataclasses.replace(container.settings, mail=mail))

    def lose_reply(_: ReminderEmail) -> None:
        raise UncertainDelivery("connection lost before the reply")

    run_send_reminders(container, FakeMailer(lose_reply))
    email = email_of(container, reminder_id)
    assert email.status == (EmailStatus.FAILED if hold else EmailStatus.SCHEDULED)
    assert email.reason == (UNCERTAIN if hold else "connection lost before the reply")
    reminder = find(container, reminder_id)
    assert (reminder.status, reminder.reason) == (("failed", UNCERTAIN) if hold else ("sending", None))
    clock.advance(days=3)
    mailer = FakeMailer()
    run_send_reminders(container, mailer)
    assert mailer.addresses == ([] if hold else [READER])


def test_hard_bounce_suppresses_the_address_for_all_campaigns(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, READER)
    clock.advance(days=32)

    def bounce(_: ReminderEmail) -> None:
        raise PermanentFailure("recipient refused (550)", is_hard_bounce=True)

    run_send_reminders(container, FakeMailer(bounce))
    assert find(container, reminder_id).status == ReminderStatus.FAILED
    create_reminder(container, READER)
    clock.advance(days=32)
    mailer = FakeMailer()
    assert run_send_reminders(container, mailer)["suppressed"] == 1
    assert mailer.sent == []
    assert (find(container, reminder_id).status, find(container, reminder_id).reason) == (
        ReminderStatus.SKIPPED,
        "suppressed: hard_bounce",
    )

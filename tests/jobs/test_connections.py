"""MAIL_CONNECTIONS: every connection to the mail server gets its share of what is due, also of a few emails."""

import dataclasses
import threading
import time

import pytest

from jobs.email_dispatcher import IDLE_SECONDS
from jobs.reminders import enqueue_reminders
from service.container import Container
from service.domain.circuit_breaker import CircuitBreaker
from service.domain.ports import ReminderEmail, ServerUnavailable
from tests.clock import FakeClock
from tests.db.factories import create_reminder
from tests.jobs.fake_mailer import FakeMailer, send_reminders

PATIENCE_SECONDS = 60


@pytest.mark.parametrize(
    ("due", "connections", "at_once"), [(0, 8, 0), (1, 8, 1), (3, 8, 3), (8, 8, 8), (20, 4, 4), (3, 1, 1)]
)
def test_few_due_emails_are_spread_over_the_connections(
    container: Container, clock: FakeClock, due: int, connections: int, at_once: int
) -> None:
    for number in range(due):
        create_reminder(container, f"reader-{number}@news.example")
    clock.advance(days=32)
    # The first emails are accepted only once so many are being sent at the same time.
    all_at_once = threading.Barrier(max(at_once, 1))
    started = threading.Semaphore(at_once)

    def wait_for_the_others(_: ReminderEmail) -> None:
        if started.acquire(blocking=False):
            all_at_once.wait(PATIENCE_SECONDS)

    mailers = tuple(FakeMailer(wait_for_the_others) for _ in range(connections))
    container = dataclasses.replace(container, mailers=mailers, smtp_breaker=CircuitBreaker())
    counts = send_reminders(container, threading.Event())
    assert counts.get("sent", 0) == due
    assert sorted(email.to for mailer in mailers for email in mailer.sent) == sorted(
        f"reader-{number}@news.example" for number in range(due)
    )
    assert sum(bool(mailer.sent) for mailer in mailers) == at_once


def test_connection_without_work_takes_part_in_what_falls_due_meanwhile(
    container: Container, clock: FakeClock
) -> None:
    create_reminder(container, "first@news.example")
    clock.advance(days=32)
    is_second_sent = threading.Event()

    def send(email: ReminderEmail) -> None:
        if email.to == "second@news.example":
            is_second_sent.set()
            return
        # The other connection has found nothing due by now, or does so soon.
        time.sleep(IDLE_SECONDS)
        create_reminder(container, "second@news.example")
        clock.advance(days=32)
        enqueue_reminders(container, threading.Event())
        assert is_second_sent.wait(PATIENCE_SECONDS), "the other connection has ended"

    mailers = (FakeMailer(send), FakeMailer(send))
    container = dataclasses.replace(container, mailers=mailers, smtp_breaker=CircuitBreaker())
    assert send_reminders(container, threading.Event())["sent"] == 2
    assert [mailer.addresses for mailer in mailers if "first@news.example" in mailer.addresses] == [
        ["first@news.example"]
    ]


def test_connections_without_work_end_with_the_last_that_has_some(container: Container, clock: FakeClock) -> None:
    create_reminder(container, "reader@news.example")
    clock.advance(days=32)

    def fail(_: ReminderEmail) -> None:
        time.sleep(IDLE_SECONDS)
        raise ServerUnavailable("421 try later")

    mailers = tuple(FakeMailer(fail) for _ in range(3))
    container = dataclasses.replace(container, mailers=mailers, smtp_breaker=CircuitBreaker())
    with pytest.raises(ServerUnavailable):
        send_reminders(container, threading.Event())
    assert [mailer.closes for mailer in mailers] == [1, 1, 1]

"""MAIL_CONNECTIONS: every connection to the mail server gets its share of what is due, also of a few emails."""

import dataclasses
import threading

import pytest

from service.container import Container
from service.domain.circuit_breaker import CircuitBreaker
from service.domain.ports import ReminderEmail
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

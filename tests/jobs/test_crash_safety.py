"""Crash safety: an email is marked as sending, and that committed, before its content is sent."""

import datetime
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from sqlalchemy import select

from schemas.enums import DeliveryOutcome, EmailKind
from service.container import Container
from service.db.models.email import OutgoingEmail
from service.db.models.reminder import Reminder
from tests.clock import FakeClock
from tests.db.factories import create_reminder
from tests.jobs import fake_mailer, notifications
from tests.jobs.fake_mailer import READER, FakeMailer
from tests.jobs.test_sign_ups import waiting_for_a_lock
from tests.processes import wait_until

MONTH = datetime.timedelta(days=32)
KINDS = ("reminder", "notice")


def create_due_emails(container: Container, clock: FakeClock, kind: str, *, count: int) -> None:
    """Create `count` due emails of one kind."""
    for number in range(count):
        to = READER if count == 1 else f"reader-{number}@news.example"
        if kind == "reminder":
            create_reminder(container, to)
        else:
            notifications.enqueue(container, EmailKind.RECEIPT, to=to)
    clock.now += MONTH


def run_job(kind: str) -> Callable[[Container, FakeMailer], object]:
    return fake_mailer.run_send_reminders if kind == "reminder" else notifications.run


@pytest.mark.parametrize("kind", KINDS)
def test_email_is_not_sent_before_its_sending_mark_is_committed(
    container: Container, clock: FakeClock, kind: str
) -> None:
    create_due_emails(container, clock, kind, count=1)
    table = Reminder if kind == "reminder" else OutgoingEmail
    with ExitStack() as locks, ThreadPoolExecutor(1) as pool:

        def lock_row() -> None:
            # The row is claimed by now. While it is locked, nothing can be written to it.
            session = locks.enter_context(container.database.transaction())
            session.scalars(select(table).with_for_update()).one()

        mailer = FakeMailer(on_connect=lock_row)
        try:
            running = pool.submit(run_job(kind), container, mailer)
            wait_until(
                lambda: running.done() or waiting_for_a_lock(container),
                what="the sending mark to wait for the lock",
            )
            assert not running.done()
            assert mailer.sent == []
        finally:
            locks.close()
        assert running.result(timeout=60)["sent"] == 1
    assert mailer.addresses == [READER]


def recorded_outcomes(container: Container, kind: str) -> list[DeliveryOutcome]:
    """Return the recorded outcomes, as another session reads them."""
    column = OutgoingEmail.outcome if kind == "reminder" else OutgoingEmail.outcome
    with container.database.read_only() as session:
        return sorted(session.scalars(select(column).where(column.is_not(None))))


@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
@pytest.mark.parametrize("kind", KINDS)
def test_results_are_committed_before_the_next_email_is_sent(
    request: pytest.FixtureRequest, clock: FakeClock, kind: str, database: str
) -> None:
    container = request.getfixturevalue("container" if database == "postgresql" else "sqlite_container")
    create_due_emails(container, clock, kind, count=3)
    seen: list[list[DeliveryOutcome]] = []
    run_job(kind)(container, FakeMailer(lambda _: seen.append(recorded_outcomes(container, kind))))
    accepted, sending = DeliveryOutcome.ACCEPTED, DeliveryOutcome.SENDING
    assert seen == [[sending], [accepted, sending], [accepted, accepted, sending]]
    assert recorded_outcomes(container, kind) == [accepted] * 3

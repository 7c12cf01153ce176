"""Errors of the database around an accepted email: it is recorded in the end, and never sent again."""

import dataclasses
import datetime
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

from jobs import email_queue
from jobs.emails import recover_expired_leases
from schemas.enums import DeliveryOutcome, EmailKind, EmailStatus
from service.container import Container
from service.db.base import new_id
from service.db.models.email import OutgoingEmail
from service.db.models.reminder import Reminder
from service.domain.monitoring.database_contact import (
    MAX_GAP_SECONDS,
    STEADY_AFTER_SECONDS,
    DatabaseContact,
)
from service.domain.ports import PermanentFailure
from tests.clock import FakeClock
from tests.jobs.due_emails import KINDS, create_due_emails, enqueue_due_email, run_job
from tests.jobs.fake_mailer import FakeMailer
from tests.jobs.test_crash_safety import recorded_outcomes

# What PostgreSQL, a pooler or a failover answers: read-only, a name conflict, a time-out, a full disk, and faults.
ERRORS = ("25006", "42P05", "26000", "57014", "57P01", "53100", "40001", "25P02", "08P01", "XX000", "P0001")


@contextmanager
def failing(
    container: Container, condition: str, *, sqlstate: str, times: int, table: str = "emails"
) -> Iterator[None]:
    """Refuse writes to a table `times` times, those for which the SQL condition holds."""
    # A sequence counts, because a rollback does not undo it.
    create = f"""
        CREATE SEQUENCE refusals;
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF {condition} AND nextval('refusals') <= {times} THEN
                RAISE EXCEPTION 'injected' USING ERRCODE = '{sqlstate}';
            END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse();
    """
    with container.database.transaction() as session:
        session.execute(text(create))
    try:
        yield
    finally:
        with container.database.transaction() as session:
            session.execute(text("DROP FUNCTION refuse CASCADE; DROP SEQUENCE refusals"))


def statuses(container: Container) -> set[str]:
    """Return the statuses of all emails and reminders."""
    with container.database.read_only() as session:
        return {
            status.value
            for column in (OutgoingEmail.status, Reminder.status)
            for status in session.scalars(select(column))
        }


def run_again(container: Container, clock: FakeClock, kind: EmailKind, mailer: FakeMailer) -> None:
    """Let every lease expire, and let another run of the worker do what is left."""
    clock.advance(minutes=10)
    recover_expired_leases(container, threading.Event())
    run_job(kind)(container, mailer)


@pytest.mark.parametrize("sqlstate", ERRORS)
@pytest.mark.parametrize("kind", KINDS)
def test_accepted_email_is_recorded_after_database_errors_and_not_sent_again(
    container: Container, clock: FakeClock, kind: EmailKind, sqlstate: str
) -> None:
    create_due_emails(container, clock, kind, count=2)
    mailer = FakeMailer()
    with failing(container, "NEW.outcome = 'accepted'", sqlstate=sqlstate, times=3):
        assert run_job(kind)(container, mailer)["sent"] == 2
    run_again(container, clock, kind, mailer)
    assert len(mailer.sent) == 2
    assert statuses(container) == {"sent"}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up quickly on what is not the result of an email."""
    monkeypatch.setattr(email_queue, "DB_RETRY_SECONDS", 0.3)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("kind", KINDS)
def test_result_is_recorded_even_if_the_next_email_cannot_be_marked(
    container: Container, clock: FakeClock, kind: EmailKind
) -> None:
    create_due_emails(container, clock, kind, count=2)
    mailer = FakeMailer()
    # The first email is accepted; then no other may be marked.
    condition = "NEW.outcome = 'sending' AND EXISTS (SELECT FROM emails WHERE outcome = 'accepted')"
    with (
        failing(container, condition, sqlstate="XX000", times=1000),
        pytest.raises(DBAPIError),
    ):
        run_job(kind)(container, mailer)
    assert len(mailer.sent) == 1
    assert DeliveryOutcome.ACCEPTED in recorded_outcomes(container)
    run_again(container, clock, kind, mailer)
    assert sorted(mailer.addresses) == ["reader-0@news.example", "reader-1@news.example"]
    assert statuses(container) == {"sent"}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("kind", "table"),
    [(EmailKind.REMINDER, "reminders"), (EmailKind.REMINDER, "emails"), (EmailKind.RECEIPT, "emails")],
)
def test_batch_that_cannot_be_completed_is_not_sent_again(
    container: Container, clock: FakeClock, kind: EmailKind, table: str
) -> None:
    create_due_emails(container, clock, kind, count=3)
    mailer = FakeMailer()
    with (
        failing(container, "NEW.status = 'sent'", table=table, sqlstate="XX000", times=1000),
        pytest.raises(DBAPIError),
    ):
        run_job(kind)(container, mailer)
    assert recorded_outcomes(container) == [DeliveryOutcome.ACCEPTED] * 3
    run_again(container, clock, kind, mailer)
    assert len(mailer.sent) == 3
    assert statuses(container) == {"sent"}


@pytest.mark.parametrize("kind", KINDS)
def test_database_away_for_longer_than_two_minutes_repeats_no_email(
    container: Container, clock: FakeClock, kind: EmailKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(email_queue, "DB_RETRY_SECONDS", 0)
    create_due_emails(container, clock, kind, count=1)
    mailer = FakeMailer()
    with failing(container, "NEW.outcome = 'accepted'", sqlstate="57P03", times=6):
        assert run_job(kind)(container, mailer)["sent"] == 1
    run_again(container, clock, kind, mailer)
    assert len(mailer.sent) == 1


def test_rejection_is_recorded_if_the_address_cannot_be_suppressed(
    container: Container, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(email_queue, "DB_RETRY_SECONDS", 0)
    create_due_emails(container, clock, EmailKind.REMINDER, count=2)

    def reject(_email: object) -> None:
        raise PermanentFailure("550 5.1.1 No such reader", is_hard_bounce=True)

    with failing(container, "true", table="suppressions", sqlstate="53100", times=1000):
        assert run_job(EmailKind.REMINDER)(container, FakeMailer(reject))["failed"] == 2
    assert recorded_outcomes(container) == [DeliveryOutcome.REJECTED] * 2
    assert statuses(container) == {"failed"}


def lose_lease(container: Container, clock: FakeClock, kind: EmailKind) -> None:
    """Let an email be leased by a worker that has not renewed its lease in time."""
    email_id = enqueue_due_email(container, clock, kind)
    lease = {"lease_number": 1, "leased_by": new_id(), "leased_until": clock() - datetime.timedelta(minutes=1)}
    with container.database.transaction() as session:
        leased = update(OutgoingEmail).where(OutgoingEmail.id == email_id)
        session.execute(leased.values(status=EmailStatus.SENDING, **lease))


@pytest.mark.parametrize("kind", KINDS)
def test_leases_of_others_are_left_alone_until_the_database_was_back_for_a_while(
    container: Container, clock: FakeClock, kind: EmailKind
) -> None:
    seconds = [0.0]
    contact = DatabaseContact(lambda: seconds[0])
    container = dataclasses.replace(container, database_contact=contact)
    lose_lease(container, clock, kind)

    def left_alone() -> bool:
        return recover_expired_leases(container, threading.Event()) == {}

    contact.start()
    assert left_alone()
    for _ in range(4):
        seconds[0] += 5
        contact.record()
    assert contact.is_steady
    # The database is away: no heartbeat is recorded.
    seconds[0] += MAX_GAP_SECONDS + 1
    assert left_alone()
    contact.record()
    seconds[0] += STEADY_AFTER_SECONDS - 5
    assert left_alone()
    contact.record()
    seconds[0] += 5
    contact.record()
    assert recover_expired_leases(container, threading.Event()) == {"handed_back": 1}

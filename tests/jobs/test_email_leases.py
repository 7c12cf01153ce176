"""Leases of emails: one worker at a time has a claim, and an expired claim writes nothing."""

import dataclasses
import datetime
import threading
import uuid
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from jobs.emails import recover_expired_leases, urgent_owner
from jobs.monitoring import send_heartbeat
from schemas.enums import DeliveryOutcome, EmailKind, EmailStatus, ReminderStatus
from service.container import Container
from service.db.models.email import OutgoingEmail
from service.db.models.reminder import Reminder
from service.domain.email import delivery
from service.domain.email.counters import read_counters
from service.domain.email.outbox import IMMEDIATE, PRIORITIES, PROMPT
from service.domain.email.queue import EmailClaim, claim_due_emails, renew_leases
from service.domain.email.rendering import PreparedEmails, UnsentEmail
from service.domain.email.status import EmailEvent
from service.domain.errors import LeaseLost
from service.domain.notifications.emails import build_notification_emails
from service.domain.reminders.emails import build_reminder_emails
from service.domain.reminders.self_service import cancel_reminder, confirm_reminder, reminder_token
from tests.clock import FakeClock
from tests.db.factories import create_reminder
from tests.interleaving import must_wait
from tests.jobs import fake_mailer
from tests.jobs.due_emails import KINDS, enqueue_due_email, enqueue_due_emails, find, run_job
from tests.jobs.fake_mailer import (
    FakeMailer,
    complete_all,
    email_of,
    finisher,
    mark_sending,
    record_result,
    recover_leases,
    reminder_of,
    status_changes,
)
from tests.jobs.notifications import enqueue
from tests.jobs.test_unconfirmed_retention import require_confirmation
from tests.threads import RUNNING

LEASE_LOST = {"lease_lost": 1}


def claim(
    container: Container,
    limit: int = 100,
    *,
    worker: uuid.UUID | None = None,
    priorities: Collection[int] = frozenset(PRIORITIES.values()),
) -> list[EmailClaim]:
    with container.database.transaction() as session:
        if container.database.engine.dialect.name == "postgresql":
            session.execute(text("SET LOCAL lock_timeout = '2s'"))
        return claim_due_emails(
            session,
            worker=worker or container.worker_id,
            now=container.clock(),
            limit=limit,
            lease=container.lease_duration,
            respect_sending_hours=False,
            priorities=priorities,
        ).claims


def claim_one(container: Container, worker: uuid.UUID | None = None) -> EmailClaim:
    [only] = claim(container, worker=worker)
    return only


def fail(container: Container, lease: EmailClaim, reason: str = "could not be written") -> dict[str, int]:
    """Record that an email could not be rendered; return the counts."""
    unsent = [UnsentEmail(lease, EmailEvent.FAIL, reason, "failed")]
    with container.database.transaction() as session:
        counts = delivery.finish_unsent(session, unsent, now=container.clock(), on_finished=finisher(container))
        return dict(counts)


def build(container: Container, lease: EmailClaim) -> PreparedEmails:
    prepared = PreparedEmails()
    builder = build_reminder_emails if lease.kind == EmailKind.REMINDER else build_notification_emails
    with container.database.transaction() as session:
        builder(session, [lease], prepared, urls=container.urls, now=container.clock())
    return prepared


def counters(container: Container) -> dict[str, int]:
    with container.database.read_only() as session:
        return {name: count for name, count in read_counters(session).items() if count}


def expire_lease(container: Container, clock: FakeClock) -> EmailClaim:
    """Let a lease expire while its email is being sent; return its claim."""
    expired = claim_one(container, uuid.uuid4())
    mark_sending(container, expired)
    clock.now += container.lease_duration
    assert recover_leases(container) == {"in_doubt": 1}
    return expired


def assert_lost(container: Container, expired: EmailClaim) -> None:
    """Assert that a worker can do nothing with a lease that it lost, except record that the server accepted it."""
    before = find(container, expired.email_id)
    with pytest.raises(LeaseLost):
        mark_sending(container, expired)
    assert fail(container, expired) == {}
    assert complete_all(container, expired) == LEASE_LOST
    prepared = build(container, expired)
    assert (prepared.emails, prepared.unsent) == ([], [])
    after = find(container, expired.email_id)
    columns = [column.key for column in OutgoingEmail.__table__.columns]
    assert [getattr(after, key) for key in columns] == [getattr(before, key) for key in columns]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("delay", [{"days": 3}, {"days": 400}, {"days": 3650}])
def test_overdue_email_is_claimed_however_late(
    container: Container, clock: FakeClock, kind: EmailKind, delay: dict[str, float]
) -> None:
    email_id = enqueue_due_email(container, clock, kind)
    due_at = find(container, email_id).due_at
    now, clock.now = clock.now, due_at - datetime.timedelta(microseconds=1)
    assert claim(container) == []
    clock.now = now
    clock.advance(**delay)
    assert [each.email_id for each in claim(container)] == [email_id]


@pytest.mark.parametrize("kind", KINDS)
def test_oldest_due_emails_are_claimed_first(container: Container, clock: FakeClock, kind: EmailKind) -> None:
    email_ids = enqueue_due_emails(container, clock, kind, count=5)
    with container.database.transaction() as session:
        for number, email_id in enumerate(reversed(email_ids)):
            session.get_one(OutgoingEmail, email_id).due_at = clock() - datetime.timedelta(days=5 - number)
    email_ids.reverse()
    claimed = [[each.email_id for each in claim(container, limit=2)] for _ in range(4)]
    assert claimed == [email_ids[:2], email_ids[2:4], email_ids[4:], []]


def test_urgent_emails_are_claimed_before_older_ones_and_on_their_own(
    container: Container, clock: FakeClock
) -> None:
    reminders = enqueue_due_emails(container, clock, EmailKind.REMINDER, count=3)
    receipt = enqueue(container, EmailKind.RECEIPT)
    clock.advance(minutes=1)
    sign_in = enqueue(container, EmailKind.SIGN_IN)
    assert [each.email_id for each in claim(container, limit=1)] == [sign_in]
    assert [each.email_id for each in claim(container, priorities=(IMMEDIATE, PROMPT))] == [receipt]
    assert claim(container, priorities=(IMMEDIATE, PROMPT)) == []
    assert {each.email_id for each in claim(container)} == set(reminders)


@pytest.mark.parametrize("kind", KINDS)
def test_claim_and_recovery_skip_a_locked_email(container: Container, clock: FakeClock, kind: EmailKind) -> None:
    locked, free = enqueue_due_emails(container, clock, kind, count=2)

    def recover_unlocked() -> dict[str, int]:
        with container.database.transaction() as session:
            session.execute(text("SET LOCAL lock_timeout = '2s'"))
            counts = delivery.recover_expired_leases(
                session, hold_uncertain=False, now=clock(), on_finished=finisher(container)
            )
            return dict(counts)

    with container.database.transaction() as session:
        session.get_one(OutgoingEmail, locked, with_for_update=True)
        assert [each.email_id for each in claim(container)] == [free]
    with container.database.transaction() as session:
        session.get_one(OutgoingEmail, free, with_for_update=True)
        assert [each.email_id for each in claim(container)] == [locked]
        clock.advance(minutes=10)
        assert recover_unlocked() == {"handed_back": 1}
    assert recover_unlocked() == {"handed_back": 1}


def test_recovery_skips_the_email_of_a_locked_reminder(container: Container, clock: FakeClock) -> None:
    email_id = enqueue_due_email(container, clock, EmailKind.REMINDER)
    claim_one(container)
    clock.now += container.lease_duration
    with container.database.transaction() as session:
        session.get_one(Reminder, find(container, email_id).reminder_id, with_for_update=True)
        with container.database.transaction() as other:
            other.execute(text("SET LOCAL lock_timeout = '2s'"))
            recovered = delivery.recover_expired_leases(
                other, hold_uncertain=False, now=clock(), on_finished=finisher(container)
            )
        assert recovered == {}
    assert recover_leases(container) == {"handed_back": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_concurrent_workers_never_claim_the_same_email(
    container: Container, clock: FakeClock, kind: EmailKind
) -> None:
    email_ids = enqueue_due_emails(container, clock, kind, count=60)
    start = threading.Barrier(4, timeout=60)

    def claim_until_none() -> list[EmailClaim]:
        start.wait()
        claims: list[EmailClaim] = []
        while batch := claim(container, limit=3):
            claims += batch
        return claims

    with ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(claim_until_none) for _ in range(4)]
    claimed = [each.email_id for worker in workers for each in worker.result()]
    assert len(claimed) == 60
    assert set(claimed) == set(email_ids)


@pytest.mark.parametrize("kind", KINDS)
def test_expired_lease_is_recovered_however_old(container: Container, clock: FakeClock, kind: EmailKind) -> None:
    email_id = enqueue_due_email(container, clock, kind)
    lease = claim_one(container)
    clock.now += container.lease_duration - datetime.timedelta(seconds=1)
    assert recover_leases(container) == {}
    clock.advance(days=800)
    assert recover_leases(container) == {"handed_back": 1}
    email = find(container, email_id)
    assert (email.status, email.reason, email.attempts) == (EmailStatus.SCHEDULED, delivery.NOT_ATTEMPTED, 0)
    assert (email.leased_by, email.leased_until) == (None, None)
    if kind == EmailKind.REMINDER:
        # It stays in the outbox, and its history is that of the reminder, not of its leases.
        reminder = reminder_of(container, lease)
        assert reminder.status == ReminderStatus.SENDING
        assert status_changes(container, reminder.id) == [("made", "scheduled"), ("enqueue", "sending")]
    assert len(claim(container)) == 1


@pytest.mark.parametrize(("hold", "expected_status"), [(False, "scheduled"), (True, "failed")])
@pytest.mark.parametrize("kind", KINDS)
def test_expired_lease_is_recovered_by_its_record(
    container: Container, clock: FakeClock, kind: EmailKind, hold: bool, expected_status: str
) -> None:
    mail = dataclasses.replace(container.settings.mail, hold_uncertain=hold)
    container = dataclasses.replace(container, settings=dataclasses.replace(container.settings, mail=mail))
    email_id = enqueue_due_email(container, clock, kind)
    lease = claim_one(container)
    mark_sending(container, lease)
    assert recover_expired_leases(container, RUNNING) == {}
    clock.advance(seconds=container.lease_duration.total_seconds() + 1)
    expected = {"in_doubt": 1, "failed": 1} if hold else {"in_doubt": 1}
    assert recover_expired_leases(container, RUNNING) == expected
    assert counters(container) == expected
    email = find(container, email_id)
    assert email.status == expected_status
    assert (email.reason or "").startswith("in doubt")
    if kind == EmailKind.REMINDER:
        reminder = reminder_of(container, lease)
        assert (reminder.status, reminder.reason) == (("failed", email.reason) if hold else ("sending", None))


@pytest.mark.parametrize("kind", KINDS)
def test_expired_lease_cannot_write_over_the_new_owner(
    container: Container, clock: FakeClock, kind: EmailKind
) -> None:
    email_id = enqueue_due_email(container, clock, kind)
    expired = expire_lease(container, clock)
    current = claim_one(container)
    assert_lost(container, expired)
    assert mark_sending(container, current) == 2
    for outcome in DeliveryOutcome:
        with pytest.raises(LeaseLost):
            record_result(container, expired, outcome)
    assert_lost(container, expired)
    email = find(container, email_id)
    assert (email.status, email.lease_number, email.outcome) == ("sending", current.lease_number, "sending")
    record_result(container, current, DeliveryOutcome.ACCEPTED)
    assert complete_all(container, current) == {"sent": 1}
    assert find(container, email_id).status == EmailStatus.SENT
    if kind == EmailKind.REMINDER:
        assert reminder_of(container, current).status == ReminderStatus.SENT


@pytest.mark.parametrize("kind", KINDS)
def test_recovered_email_cannot_be_sent_failed_or_completed_by_the_old_lease(
    container: Container, clock: FakeClock, kind: EmailKind
) -> None:
    email_id = enqueue_due_email(container, clock, kind)
    expired = expire_lease(container, clock)
    assert find(container, email_id).lease_number == expired.lease_number
    assert_lost(container, expired)
    assert find(container, email_id).status == EmailStatus.SCHEDULED


@pytest.mark.parametrize("kind", KINDS)
def test_email_that_cannot_be_rendered_fails_with_its_reason_and_counts_once(
    container: Container, clock: FakeClock, kind: EmailKind
) -> None:
    email_id = enqueue_due_email(container, clock, kind)
    lease = claim_one(container)
    assert fail(container, lease) == {"failed": 1}
    assert fail(container, lease) == {}
    email = find(container, email_id)
    assert (email.status, email.reason, email.finished_at) == ("failed", "could not be written", clock())
    assert counters(container) == {"failed": 1}
    if kind == EmailKind.REMINDER:
        reminder = reminder_of(container, lease)
        assert (reminder.status, reminder.reason) == ("failed", "could not be written")


@pytest.mark.parametrize("kind", KINDS)
def test_email_accepted_after_lease_expiry_is_not_sent_again(
    container: Container, clock: FakeClock, kind: EmailKind
) -> None:
    email_id = enqueue_due_email(container, clock, kind)
    expired = expire_lease(container, clock)
    record_result(container, expired, DeliveryOutcome.ACCEPTED)
    mailer = FakeMailer()
    assert run_job(kind)(container, mailer)["sent"] == 1
    assert mailer.sent == []
    assert find(container, email_id).status == EmailStatus.SENT
    if kind == EmailKind.REMINDER:
        reminder = reminder_of(container, expired)
        assert (reminder.status, reminder.sent_at) == (ReminderStatus.SENT, find(container, email_id).finished_at)


@pytest.mark.parametrize("kind", KINDS)
def test_email_accepted_after_the_next_claim_is_not_sent_again(
    container: Container, clock: FakeClock, kind: EmailKind
) -> None:
    email_id = enqueue_due_email(container, clock, kind)
    expired = expire_lease(container, clock)
    record_result(container, expired, DeliveryOutcome.ACCEPTED)
    current = claim_one(container)
    with pytest.raises(LeaseLost):
        mark_sending(container, current)
    assert complete_all(container, current) == {"sent": 1}
    assert find(container, email_id).status == EmailStatus.SENT


@pytest.mark.parametrize("kind", KINDS)
def test_attempt_is_uncounted_once(container: Container, clock: FakeClock, kind: EmailKind) -> None:
    email_id = enqueue_due_email(container, clock, kind)
    lease = claim_one(container)
    mark_sending(container, lease)
    record_result(container, lease, DeliveryOutcome.NOT_ATTEMPTED)
    with pytest.raises(LeaseLost):
        record_result(container, lease, DeliveryOutcome.NOT_ATTEMPTED)
    assert find(container, email_id).attempts == 0


@pytest.mark.parametrize("kind", KINDS)
def test_recording_a_result_is_idempotent_and_final(
    container: Container, clock: FakeClock, kind: EmailKind
) -> None:
    email_id = enqueue_due_email(container, clock, kind)
    lease = claim_one(container)
    mark_sending(container, lease)
    for _ in range(2):
        record_result(container, lease, DeliveryOutcome.ACCEPTED, "2" * 400)
    for outcome in set(DeliveryOutcome) - {DeliveryOutcome.ACCEPTED}:
        with pytest.raises(LeaseLost):
            record_result(container, lease, outcome)
    with pytest.raises(LeaseLost):
        mark_sending(container, lease)
    email = find(container, email_id)
    assert (email.outcome, email.attempts, email.smtp_reply) == (DeliveryOutcome.ACCEPTED, 1, "2" * 300)


@pytest.mark.parametrize("kind", KINDS)
def test_mark_that_is_repeated_counts_one_attempt(container: Container, clock: FakeClock, kind: EmailKind) -> None:
    """A commit whose confirmation was lost is repeated."""
    email_id = enqueue_due_email(container, clock, kind)
    lease = claim_one(container)
    assert [mark_sending(container, lease) for _ in range(2)] == [1, 1]
    assert find(container, email_id).attempts == 1
    record_result(container, lease, DeliveryOutcome.NOT_ATTEMPTED)
    assert find(container, email_id).attempts == 0


@pytest.mark.parametrize("kind", KINDS)
def test_worker_renews_only_its_own_leases(container: Container, clock: FakeClock, kind: EmailKind) -> None:
    enqueue_due_email(container, clock, kind)
    worker = uuid.uuid4()
    claim_one(container, worker)
    for _ in range(5):
        clock.now += container.lease_duration - datetime.timedelta(seconds=1)
        with container.database.transaction() as session:
            renew_leases(session, owners=[uuid.uuid4(), worker], now=clock(), lease=container.lease_duration)
        assert recover_leases(container) == {}
    with container.database.transaction() as session:
        others, later = [uuid.uuid4()], clock() + container.lease_duration
        renew_leases(session, owners=others, now=later, lease=container.lease_duration)
    clock.now += container.lease_duration
    assert recover_leases(container) == {"handed_back": 1}


@pytest.mark.parametrize("is_urgent", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_heartbeat_renews_only_the_leases_of_its_worker(
    container: Container, clock: FakeClock, kind: EmailKind, is_urgent: bool
) -> None:
    enqueue_due_email(container, clock, kind)
    mark_sending(container, claim_one(container, urgent_owner(container) if is_urgent else None))
    for _ in range(3):
        clock.now += container.lease_duration - datetime.timedelta(seconds=1)
        send_heartbeat(container, RUNNING)
        assert recover_expired_leases(container, RUNNING) == {}
    clock.now += container.lease_duration - datetime.timedelta(seconds=1)
    send_heartbeat(dataclasses.replace(container, worker_id=uuid.uuid4()), RUNNING)
    clock.advance(seconds=1)
    assert recover_expired_leases(container, RUNNING) == {"in_doubt": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_heartbeat_does_not_wait_for_an_email_that_is_being_recorded(
    container: Container, clock: FakeClock, kind: EmailKind
) -> None:
    recorded, other = enqueue_due_emails(container, clock, kind, count=2)
    worker = uuid.uuid4()
    assert len(claim(container, worker=worker)) == 2
    leased_until = find(container, recorded).leased_until
    clock.advance(seconds=5)

    def renew(session: Session) -> None:
        renew_leases(session, owners=[worker], now=clock(), lease=container.lease_duration)

    # A batch is recorded and completed in an order of its own, so each would wait for the other.
    with container.database.transaction() as session:
        session.get_one(OutgoingEmail, recorded, with_for_update=True)
        assert not must_wait(container, renew)
    assert find(container, other).leased_until == clock() + container.lease_duration
    assert find(container, recorded).leased_until == leased_until


@pytest.mark.parametrize("kind", KINDS)
def test_concurrent_recovery_recovers_each_email_once(
    container: Container, clock: FakeClock, kind: EmailKind
) -> None:
    email_ids = enqueue_due_emails(container, clock, kind, count=30)
    for lease in claim(container):
        mark_sending(container, lease)
    clock.now += container.lease_duration
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(recover_leases, container) for _ in range(2)]
    results = [future.result() for future in futures] + [recover_leases(container)]
    assert sum(counts.get("in_doubt", 0) for counts in results) == 30
    assert counters(container) == {"in_doubt": 30}
    assert {find(container, email_id).status for email_id in email_ids} == {EmailStatus.SCHEDULED}


def cancel(container: Container, reminder: Reminder) -> None:
    with container.database.transaction() as session:
        cancel_reminder(session, reminder_token(container.database.keyring, reminder), now=container.clock())


@pytest.mark.parametrize("has_begun", [False, True])
def test_cancel_during_sending_revokes_the_lease(container: Container, clock: FakeClock, has_begun: bool) -> None:
    email_id = enqueue_due_email(container, clock, EmailKind.REMINDER)
    current = claim_one(container)
    if has_begun:
        mark_sending(container, current)
    cancel(container, reminder_of(container, current))
    assert_lost(container, current)
    assert find(container, email_id).status == EmailStatus.CANCELLED
    assert reminder_of(container, current).status == ReminderStatus.CANCELLED
    if has_begun:
        # What the server replied is on record all the same.
        record_result(container, current, DeliveryOutcome.ACCEPTED)
        assert find(container, email_id).outcome == DeliveryOutcome.ACCEPTED
    clock.advance(days=800)
    assert recover_leases(container) == {}
    assert claim(container) == []
    assert find(container, email_id).status == EmailStatus.CANCELLED


@pytest.mark.parametrize("status", [EmailStatus.SCHEDULED, EmailStatus.FAILED])
def test_cancel_while_the_email_waits_or_has_failed_cancels_it(
    container: Container, clock: FakeClock, status: EmailStatus
) -> None:
    email_id = enqueue_due_email(container, clock, EmailKind.REMINDER)
    lease = claim_one(container)
    mark_sending(container, lease)
    outcome = DeliveryOutcome.DEFERRED if status == EmailStatus.SCHEDULED else DeliveryOutcome.REJECTED
    record_result(container, lease, outcome, "450 later")
    complete_all(container, lease)
    assert find(container, email_id).status == status
    cancel(container, reminder_of(container, lease))
    assert find(container, email_id).status == EmailStatus.CANCELLED
    clock.advance(days=800)
    mailer = FakeMailer()
    fake_mailer.run_send_reminders(container, mailer)
    assert mailer.sent == []


def test_new_request_during_sending_starts_a_new_occurrence(container: Container, clock: FakeClock) -> None:
    email_id = enqueue_due_email(container, clock, EmailKind.REMINDER)
    current = claim_one(container)
    mark_sending(container, current)
    create_reminder(container, fake_mailer.READER)
    record_result(container, current, DeliveryOutcome.ACCEPTED)
    assert complete_all(container, current) == LEASE_LOST
    reminder = reminder_of(container, current)
    assert (reminder.status, reminder.occurrence) == (ReminderStatus.SCHEDULED, 2)
    assert reminder.due_at > clock()
    clock.now = reminder.due_at
    mailer = FakeMailer()
    fake_mailer.run_send_reminders(fake_mailer.without_sending_hours(container), mailer)
    assert [email.message_id for email in mailer.sent] == [f"<reminder-{reminder.id}-2@desk.test>"]
    assert find(container, email_id).status == EmailStatus.CANCELLED
    assert email_of(container, reminder.id).attempts == 1


def test_confirmation_during_sending_cancels_the_request_for_it(container: Container, clock: FakeClock) -> None:
    require_confirmation(container)
    reminder_id = create_reminder(container, fake_mailer.READER)
    with container.database.transaction() as session:
        [current] = fake_mailer.claim(session, container)
    assert current.kind == EmailKind.REMINDER_CONFIRMATION
    mark_sending(container, current)
    reminder = reminder_of(container, current)
    with container.database.transaction() as session:
        confirm_reminder(session, reminder_token(container.database.keyring, reminder), now=clock())
    record_result(container, current, DeliveryOutcome.ACCEPTED)
    assert complete_all(container, current) == LEASE_LOST
    reminder = reminder_of(container, current)
    assert (reminder.id, reminder.status, reminder.occurrence) == (reminder_id, ReminderStatus.SCHEDULED, 2)
    assert find(container, current.email_id).status == EmailStatus.CANCELLED


@pytest.mark.parametrize("kind", KINDS)
def test_claims_and_delivery_work_on_sqlite(
    sqlite_container: Container, clock: FakeClock, kind: EmailKind
) -> None:
    enqueue_due_emails(sqlite_container, clock, kind, count=6)
    with ThreadPoolExecutor(3) as pool:
        batches = list(pool.map(lambda _: claim(sqlite_container, limit=3), range(3)))
    claimed = [each for batch in batches for each in batch]
    assert len({each.email_id for each in claimed}) == len(claimed) == 6
    for each in claimed:
        mark_sending(sqlite_container, each)
        record_result(sqlite_container, each, DeliveryOutcome.ACCEPTED)
    assert complete_all(sqlite_container, *claimed) == {"sent": 6}
    with sqlite_container.database.read_only() as session:
        sent = select(func.count()).select_from(OutgoingEmail).where(OutgoingEmail.status == EmailStatus.SENT)
        assert session.scalar(sent) == 6


def test_emails_of_a_newer_release_wait_for_its_workers(sqlite_container: Container, clock: FakeClock) -> None:
    newer, known = enqueue_due_emails(sqlite_container, clock, EmailKind.RECEIPT, count=2)
    # As after a rollback: the schema is the newer release's, which also has other kinds of email.
    with sqlite_container.database.transaction() as session:
        session.execute(text("PRAGMA ignore_check_constraints = ON"))
        session.execute(text("UPDATE emails SET kind = 'from_a_newer_release' WHERE id = :id"), {"id": newer.hex})
        session.execute(text("PRAGMA ignore_check_constraints = OFF"))
    assert [email.email_id for email in claim(sqlite_container)] == [known]

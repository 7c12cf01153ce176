"""Reminder leases: one worker at a time has a claim, and an expired claim records nothing."""

import datetime
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, text

from schemas.enums import DeliveryOutcome, ReminderStatus
from service.container import Container
from service.db.models.reminder import Reminder
from service.domain.email.queue import EmailClaim, renew_leases
from service.domain.errors import LeaseLost
from service.domain.reminders.delivery import fail_rendering
from service.domain.reminders.self_service import cancel_reminder, reminder_token
from tests.clock import FakeClock
from tests.db.factories import create_reminder
from tests.jobs import fake_mailer as fake_mailer
from tests.jobs.fake_mailer import complete_all, find, mark_sending, record_result, recover_leases, status_changes

MONTH = datetime.timedelta(days=32)


def claim(container: Container, limit: int = 100) -> list[EmailClaim]:
    with container.database.transaction() as session:
        return fake_mailer.claim(session, container, limit=limit)


def test_reminder_is_not_claimed_before_it_is_due(container: Container, clock: FakeClock) -> None:
    due_at = find(container, create_reminder(container, "a@news.example")).due_at
    clock.now = due_at - datetime.timedelta(microseconds=1)
    assert claim(container) == []
    clock.now = due_at
    assert len(claim(container)) == 1


@pytest.mark.parametrize("delay", [{"days": 3}, {"days": 400}, {"days": 3650}])
def test_overdue_reminder_is_claimed_however_late(
    container: Container, clock: FakeClock, delay: dict[str, float]
) -> None:
    create_reminder(container, "a@news.example")
    clock.now += MONTH
    clock.advance(**delay)
    assert len(claim(container)) == 1


def test_oldest_due_reminders_are_claimed_first(container: Container, clock: FakeClock) -> None:
    reminder_ids = []
    for number in range(5):
        reminder_ids.append(create_reminder(container, f"reader-{number}@news.example"))
        clock.advance(days=1)
    clock.now += MONTH
    claimed = [[each.reminder_id for each in claim(container, limit=2)] for _ in range(4)]
    assert claimed == [reminder_ids[:2], reminder_ids[2:4], reminder_ids[4:], []]


def test_claim_skips_a_locked_reminder(container: Container, clock: FakeClock) -> None:
    locked, free = create_reminder(container, "a@news.example"), create_reminder(container, "b@news.example")
    clock.now += MONTH
    with container.database.transaction() as session:
        session.get_one(Reminder, locked, with_for_update=True)
        with container.database.transaction() as other:
            other.execute(text("SET LOCAL lock_timeout = '2s'"))
            claims = fake_mailer.claim(other, container, limit=10)
        assert [each.reminder_id for each in claims] == [free]
    assert [each.reminder_id for each in claim(container)] == [locked]


def test_concurrent_workers_never_claim_the_same_reminder(container: Container, clock: FakeClock) -> None:
    for number in range(60):
        create_reminder(container, f"reader-{number}@news.example")
    clock.now += MONTH
    start = threading.Barrier(4, timeout=60)

    def claim_until_none() -> list[EmailClaim]:
        start.wait()
        claims: list[EmailClaim] = []
        while batch := claim(container, limit=3):
            claims += batch
        return claims

    with ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(claim_until_none) for _ in range(4)]
    claimed = [each.reminder_id for worker in workers for each in worker.result()]
    assert len(claimed) == len(set(claimed)) == 60


def test_expired_lease_is_recovered_however_old(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, "a@news.example")
    clock.now += MONTH
    claim(container)
    clock.now += container.lease_duration - datetime.timedelta(seconds=1)
    assert recover_leases(container) == {}
    clock.advance(days=800)
    assert recover_leases(container) == {"handed_back": 1}
    assert find(container, reminder_id).status == ReminderStatus.SCHEDULED
    assert status_changes(container, reminder_id)[-1] == ("lose_lease", "scheduled")
    assert len(claim(container)) == 1


def test_worker_renews_only_its_own_leases(container: Container, clock: FakeClock) -> None:
    create_reminder(container, "a@news.example")
    clock.now += MONTH
    claim(container)
    for _ in range(5):
        clock.now += container.lease_duration - datetime.timedelta(seconds=1)
        with container.database.transaction() as session:
            renew_leases(session, worker=container.worker_id, now=clock(), lease=container.lease_duration)
        assert recover_leases(container) == {}
    with container.database.transaction() as session:
        renew_leases(
            session, worker=uuid.uuid4(), now=clock() + container.lease_duration, lease=container.lease_duration
        )
    clock.now += container.lease_duration
    assert recover_leases(container) == {"handed_back": 1}


def test_expired_lease_cannot_record_over_new_owner(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, "a@news.example")
    clock.now += MONTH
    (expired,) = claim(container)
    mark_sending(container, expired)
    clock.now += container.lease_duration
    recover_leases(container)
    (current,) = claim(container)
    with pytest.raises(LeaseLost):
        mark_sending(container, expired)
    assert mark_sending(container, current) == 2
    for outcome in DeliveryOutcome:
        with pytest.raises(LeaseLost):
            record_result(container, expired, outcome)
    with pytest.raises(LeaseLost), container.database.transaction() as session:
        fail_rendering(session, expired, reason="x", now=clock())
    assert complete_all(container, expired) == {"lease_lost": 1}
    assert find(container, reminder_id).status == ReminderStatus.SENDING
    record_result(container, current, DeliveryOutcome.ACCEPTED)
    assert complete_all(container, current) == {"sent": 1}
    assert find(container, reminder_id).status == ReminderStatus.SENT


def test_email_accepted_after_lease_expiry_is_not_sent_again(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, "a@news.example")
    clock.now += MONTH
    (expired,) = claim(container)
    mark_sending(container, expired)
    clock.now += container.lease_duration
    assert recover_leases(container) == {"in_doubt": 1}
    record_result(container, expired, DeliveryOutcome.ACCEPTED)
    (current,) = claim(container)
    with pytest.raises(LeaseLost):
        mark_sending(container, current)
    assert complete_all(container, current) == {"sent": 1}
    assert find(container, reminder_id).status == ReminderStatus.SENT


def test_cancel_during_sending_revokes_the_lease(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, "a@news.example")
    clock.now += MONTH
    (current,) = claim(container)
    with container.database.transaction() as session:
        token = reminder_token(container.database.keyring, session.get_one(Reminder, reminder_id))
        cancel_reminder(session, token, now=clock())
    with pytest.raises(LeaseLost):
        mark_sending(container, current)
    assert complete_all(container, current) == {"lease_lost": 1}
    assert find(container, reminder_id).status == ReminderStatus.CANCELLED
    clock.advance(days=800)
    assert recover_leases(container) == {}
    assert claim(container) == []


def test_new_request_during_sending_starts_a_new_occurrence(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, "a@news.example")
    clock.now += MONTH
    (current,) = claim(container)
    mark_sending(container, current)
    create_reminder(container, "a@news.example")
    record_result(container, current, DeliveryOutcome.ACCEPTED)
    assert complete_all(container, current) == {"lease_lost": 1}
    reminder = find(container, reminder_id)
    assert (reminder.status, reminder.occurrence, reminder.attempts) == (ReminderStatus.SCHEDULED, 2, 0)
    assert reminder.due_at > clock()


def test_concurrent_lease_recovery_recovers_each_reminder_once(container: Container, clock: FakeClock) -> None:
    for number in range(30):
        create_reminder(container, f"reader-{number}@news.example")
    clock.now += MONTH
    claim(container)
    clock.now += container.lease_duration
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(recover_leases, container) for _ in range(2)]
    results = [future.result() for future in futures] + [recover_leases(container)]
    assert sum(counts.get("handed_back", 0) for counts in results) == 30
    with container.database.read_only() as session:
        released = text("SELECT count(*) FROM reminder_status_changes WHERE event = 'lose_lease'")
        assert session.scalar(released) == 30


def test_claims_and_delivery_work_on_sqlite(sqlite_container: Container, clock: FakeClock) -> None:
    for number in range(6):
        create_reminder(sqlite_container, f"reader-{number}@news.example")
    clock.now += MONTH
    with ThreadPoolExecutor(3) as pool:
        batches = list(pool.map(lambda _: claim(sqlite_container, limit=3), range(3)))
    claimed = [each for batch in batches for each in batch]
    assert len({each.reminder_id for each in claimed}) == len(claimed) == 6
    for each in claimed:
        mark_sending(sqlite_container, each)
        record_result(sqlite_container, each, DeliveryOutcome.ACCEPTED)
    assert complete_all(sqlite_container, *claimed) == {"sent": 6}
    with sqlite_container.database.read_only() as session:
        sent = select(func.count()).select_from(Reminder).where(Reminder.status == ReminderStatus.SENT)
        assert session.scalar(sent) == 6

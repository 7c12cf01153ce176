"""Claims: each due reminder is one worker's at a time, and who lost it records nothing."""

import datetime
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, text

from schemas.enums import DeliveryOutcome, ReminderStatus
from service.container import Container
from service.db.models.reminder import Reminder
from service.domain.errors import LeaseLost
from service.domain.reminders.delivery import fail_rendering
from service.domain.reminders.queue import ReminderClaim, renew_leases
from service.domain.reminders.self_service import cancel_reminder, reminder_token
from tests.clock import FakeClock
from tests.db.factories import create_reminder
from tests.jobs import fake_mailer as fake_mailer
from tests.jobs.fake_mailer import complete_all, find, mark_sending, record_result, recover_leases, status_changes

MONTH = datetime.timedelta(days=32)


def claim(container: Container, limit: int = 100) -> list[ReminderClaim]:
    with container.database.transaction() as session:
        return fake_mailer.claim(session, container, limit=limit)


def test_nothing_is_claimed_before_it_is_due(container: Container, clock: FakeClock) -> None:
    due_at = find(container, create_reminder(container, "a@news.example")).due_at
    clock.now = due_at - datetime.timedelta(microseconds=1)
    assert claim(container) == []
    clock.now = due_at
    assert len(claim(container)) == 1


@pytest.mark.parametrize("late", [{"days": 3}, {"days": 400}, {"days": 3650}])
def test_what_is_due_is_claimed_however_late(
    container: Container, clock: FakeClock, late: dict[str, float]
) -> None:
    create_reminder(container, "a@news.example")
    clock.now += MONTH
    clock.advance(**late)
    assert len(claim(container)) == 1


def test_the_longest_due_are_claimed_first_in_batches(container: Container, clock: FakeClock) -> None:
    asked = []
    for number in range(5):
        asked.append(create_reminder(container, f"reader-{number}@news.example"))
        clock.advance(days=1)
    clock.now += MONTH
    claimed = [[one.reminder_id for one in claim(container, limit=2)] for _ in range(4)]
    assert claimed == [asked[:2], asked[2:4], asked[4:], []]


def test_a_row_that_another_session_holds_is_passed_over_and_not_waited_for(
    container: Container, clock: FakeClock
) -> None:
    held, free = create_reminder(container, "a@news.example"), create_reminder(container, "b@news.example")
    clock.now += MONTH
    with container.database.transaction() as session:
        session.get_one(Reminder, held, with_for_update=True)
        with container.database.transaction() as other:
            other.execute(text("SET LOCAL lock_timeout = '2s'"))
            claims = fake_mailer.claim(other, container, limit=10)
        assert [one.reminder_id for one in claims] == [free]
    assert [one.reminder_id for one in claim(container)] == [held]


def test_two_workers_never_claim_the_same_reminder(container: Container, clock: FakeClock) -> None:
    for number in range(60):
        create_reminder(container, f"reader-{number}@news.example")
    clock.now += MONTH
    start = threading.Barrier(4, timeout=60)

    def claim_until_none() -> list[ReminderClaim]:
        start.wait()
        mine: list[ReminderClaim] = []
        while some := claim(container, limit=3):
            mine += some
        return mine

    with ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(claim_until_none) for _ in range(4)]
    claimed = [one.reminder_id for worker in workers for one in worker.result()]
    assert len(claimed) == len(set(claimed)) == 60


def test_a_lost_lease_is_returned_however_long_ago_it_was_lost(container: Container, clock: FakeClock) -> None:
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


def test_a_worker_that_shows_life_keeps_what_it_holds(container: Container, clock: FakeClock) -> None:
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


def test_whoever_lost_the_lease_records_nothing_over_the_new_owner(container: Container, clock: FakeClock) -> None:
    reminder_id = create_reminder(container, "a@news.example")
    clock.now += MONTH
    (lost,) = claim(container)
    mark_sending(container, lost)
    clock.now += container.lease_duration
    recover_leases(container)
    (held,) = claim(container)
    with pytest.raises(LeaseLost):
        mark_sending(container, lost)
    assert mark_sending(container, held) == 2
    for outcome in DeliveryOutcome:
        with pytest.raises(LeaseLost):
            record_result(container, lost, outcome)
    with pytest.raises(LeaseLost), container.database.transaction() as session:
        fail_rendering(session, lost, reason="x", now=clock())
    assert complete_all(container, lost) == {"lease_lost": 1}
    assert find(container, reminder_id).status == ReminderStatus.SENDING
    record_result(container, held, DeliveryOutcome.ACCEPTED)
    assert complete_all(container, held) == {"sent": 1}
    assert find(container, reminder_id).status == ReminderStatus.SENT


def test_a_mail_that_was_accepted_after_its_lease_was_lost_is_not_sent_again(
    container: Container, clock: FakeClock
) -> None:
    reminder_id = create_reminder(container, "a@news.example")
    clock.now += MONTH
    (slow,) = claim(container)
    mark_sending(container, slow)
    clock.now += container.lease_duration
    assert recover_leases(container) == {"in_doubt": 1}
    record_result(container, slow, DeliveryOutcome.ACCEPTED)
    (held,) = claim(container)
    with pytest.raises(LeaseLost):
        mark_sending(container, held)
    assert complete_all(container, held) == {"sent": 1}
    assert find(container, reminder_id).status == ReminderStatus.SENT


def test_a_cancel_while_the_mail_leaves_is_not_taken_back_by_the_record(
    container: Container, clock: FakeClock
) -> None:
    reminder_id = create_reminder(container, "a@news.example")
    clock.now += MONTH
    (held,) = claim(container)
    with container.database.transaction() as session:
        token = reminder_token(container.database.keyring, session.get_one(Reminder, reminder_id))
        cancel_reminder(session, token, now=clock())
    with pytest.raises(LeaseLost):
        mark_sending(container, held)
    assert complete_all(container, held) == {"lease_lost": 1}
    assert find(container, reminder_id).status == ReminderStatus.CANCELLED
    clock.advance(days=800)
    assert recover_leases(container) == {}
    assert claim(container) == []


def test_asking_again_while_the_mail_leaves_begins_a_new_occurrence(
    container: Container, clock: FakeClock
) -> None:
    reminder_id = create_reminder(container, "a@news.example")
    clock.now += MONTH
    (held,) = claim(container)
    mark_sending(container, held)
    create_reminder(container, "a@news.example")
    record_result(container, held, DeliveryOutcome.ACCEPTED)
    assert complete_all(container, held) == {"lease_lost": 1}
    reminder = find(container, reminder_id)
    assert (reminder.status, reminder.occurrence, reminder.attempts) == (ReminderStatus.SCHEDULED, 2, 0)
    assert reminder.due_at > clock()


def test_two_sweeps_at_once_return_each_reminder_once(container: Container, clock: FakeClock) -> None:
    for number in range(30):
        create_reminder(container, f"reader-{number}@news.example")
    clock.now += MONTH
    claim(container)
    clock.now += container.lease_duration
    with ThreadPoolExecutor(2) as pool:
        returned = [pool.submit(recover_leases, container) for _ in range(2)]
    some = [done.result() for done in returned] + [recover_leases(container)]
    assert sum(counts.get("handed_back", 0) for counts in some) == 30
    with container.database.read_only() as session:
        released = text("SELECT count(*) FROM reminder_status_changes WHERE event = 'lose_lease'")
        assert session.scalar(released) == 30


def test_the_same_claims_work_on_sqlite(sqlite_container: Container, clock: FakeClock) -> None:
    for number in range(6):
        create_reminder(sqlite_container, f"reader-{number}@news.example")
    clock.now += MONTH
    with ThreadPoolExecutor(3) as pool:
        claims = list(pool.map(lambda _: claim(sqlite_container, limit=3), range(3)))
    claimed = [one for some in claims for one in some]
    assert len({one.reminder_id for one in claimed}) == len(claimed) == 6
    for one in claimed:
        mark_sending(sqlite_container, one)
        record_result(sqlite_container, one, DeliveryOutcome.ACCEPTED)
    assert complete_all(sqlite_container, *claimed) == {"sent": 6}
    with sqlite_container.database.read_only() as session:
        sent = select(func.count()).select_from(Reminder).where(Reminder.status == ReminderStatus.SENT)
        assert session.scalar(sent) == 6

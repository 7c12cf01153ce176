"""Claims: each due reminder is one worker's at a time, and who lost it records nothing."""

import datetime
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, text

from schemas.vocabulary import DeliveryOutcome, ReminderStatus
from service.db.reminder import Reminder
from service.desk import Desk
from service.domain.errors import LeaseLost
from service.domain.mail.claims import Claim, renew_leases
from service.domain.mail.settling import refuse_letter
from service.domain.reminders.links import cancel_reminder, reminder_token
from tests.clock import Clock
from tests.db.people import ask
from tests.jobs.posts import answer, begin, claim_in, find, give_back_lost, history, settle_all

MONTH = datetime.timedelta(days=32)


def claim(desk: Desk, limit: int = 100) -> list[Claim]:
    with desk.database.transaction() as session:
        return claim_in(session, desk, limit=limit)


def test_nothing_is_claimed_before_it_is_due(desk: Desk, clock: Clock) -> None:
    due_at = find(desk, ask(desk, "a@news.example")).due_at
    clock.now = due_at - datetime.timedelta(microseconds=1)
    assert claim(desk) == []
    clock.now = due_at
    assert len(claim(desk)) == 1


@pytest.mark.parametrize("late", [{"days": 3}, {"days": 400}, {"days": 3650}])
def test_what_is_due_is_claimed_however_late(desk: Desk, clock: Clock, late: dict[str, float]) -> None:
    ask(desk, "a@news.example")
    clock.now += MONTH
    clock.advance(**late)
    assert len(claim(desk)) == 1


def test_the_longest_due_are_claimed_first_in_batches(desk: Desk, clock: Clock) -> None:
    asked = []
    for number in range(5):
        asked.append(ask(desk, f"reader-{number}@news.example"))
        clock.advance(days=1)
    clock.now += MONTH
    claimed = [[one.reminder_id for one in claim(desk, limit=2)] for _ in range(4)]
    assert claimed == [asked[:2], asked[2:4], asked[4:], []]


def test_a_row_that_another_session_holds_is_passed_over_and_not_waited_for(desk: Desk, clock: Clock) -> None:
    held, free = ask(desk, "a@news.example"), ask(desk, "b@news.example")
    clock.now += MONTH
    with desk.database.transaction() as session:
        session.get_one(Reminder, held, with_for_update=True)
        with desk.database.transaction() as other:
            other.execute(text("SET LOCAL lock_timeout = '2s'"))
            claims = claim_in(other, desk, limit=10)
        assert [one.reminder_id for one in claims] == [free]
    assert [one.reminder_id for one in claim(desk)] == [held]


def test_two_workers_never_claim_the_same_reminder(desk: Desk, clock: Clock) -> None:
    for number in range(60):
        ask(desk, f"reader-{number}@news.example")
    clock.now += MONTH
    start = threading.Barrier(4, timeout=60)

    def claim_until_none() -> list[Claim]:
        start.wait()
        mine: list[Claim] = []
        while some := claim(desk, limit=3):
            mine += some
        return mine

    with ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(claim_until_none) for _ in range(4)]
    claimed = [one.reminder_id for worker in workers for one in worker.result()]
    assert len(claimed) == len(set(claimed)) == 60


def test_a_lost_lease_is_returned_however_long_ago_it_was_lost(desk: Desk, clock: Clock) -> None:
    reminder_id = ask(desk, "a@news.example")
    clock.now += MONTH
    claim(desk)
    clock.now += desk.lease - datetime.timedelta(seconds=1)
    assert give_back_lost(desk) == {}
    clock.advance(days=800)
    assert give_back_lost(desk) == {"handed_back": 1}
    assert find(desk, reminder_id).status == ReminderStatus.SCHEDULED
    assert history(desk, reminder_id)[-1] == ("lose_lease", "scheduled")
    assert len(claim(desk)) == 1


def test_a_worker_that_shows_life_keeps_what_it_holds(desk: Desk, clock: Clock) -> None:
    ask(desk, "a@news.example")
    clock.now += MONTH
    claim(desk)
    for _ in range(5):
        clock.now += desk.lease - datetime.timedelta(seconds=1)
        with desk.database.transaction() as session:
            renew_leases(session, worker=desk.worker_id, now=clock(), lease=desk.lease)
        assert give_back_lost(desk) == {}
    with desk.database.transaction() as session:
        renew_leases(session, worker=uuid.uuid4(), now=clock() + desk.lease, lease=desk.lease)
    clock.now += desk.lease
    assert give_back_lost(desk) == {"handed_back": 1}


def test_whoever_lost_the_lease_records_nothing_over_the_new_owner(desk: Desk, clock: Clock) -> None:
    reminder_id = ask(desk, "a@news.example")
    clock.now += MONTH
    (lost,) = claim(desk)
    begin(desk, lost)
    clock.now += desk.lease
    give_back_lost(desk)
    (held,) = claim(desk)
    with pytest.raises(LeaseLost):
        begin(desk, lost)
    assert begin(desk, held) == 2
    for outcome in DeliveryOutcome:
        with pytest.raises(LeaseLost):
            answer(desk, lost, outcome)
    with pytest.raises(LeaseLost), desk.database.transaction() as session:
        refuse_letter(session, lost, reason="x", now=clock())
    assert settle_all(desk, lost) == {"lease_lost": 1}
    assert find(desk, reminder_id).status == ReminderStatus.SENDING
    answer(desk, held, DeliveryOutcome.ACCEPTED)
    assert settle_all(desk, held) == {"sent": 1}
    assert find(desk, reminder_id).status == ReminderStatus.SENT


def test_a_mail_that_was_accepted_after_its_lease_was_lost_is_not_sent_again(desk: Desk, clock: Clock) -> None:
    reminder_id = ask(desk, "a@news.example")
    clock.now += MONTH
    (slow,) = claim(desk)
    begin(desk, slow)
    clock.now += desk.lease
    assert give_back_lost(desk) == {"in_doubt": 1}
    answer(desk, slow, DeliveryOutcome.ACCEPTED)
    (held,) = claim(desk)
    with pytest.raises(LeaseLost):
        begin(desk, held)
    assert settle_all(desk, held) == {"sent": 1}
    assert find(desk, reminder_id).status == ReminderStatus.SENT


def test_a_cancel_while_the_mail_leaves_is_not_taken_back_by_the_record(desk: Desk, clock: Clock) -> None:
    reminder_id = ask(desk, "a@news.example")
    clock.now += MONTH
    (held,) = claim(desk)
    with desk.database.transaction() as session:
        token = reminder_token(desk.database.keyring, session.get_one(Reminder, reminder_id))
        cancel_reminder(session, token, now=clock())
    with pytest.raises(LeaseLost):
        begin(desk, held)
    assert settle_all(desk, held) == {"lease_lost": 1}
    assert find(desk, reminder_id).status == ReminderStatus.CANCELLED
    clock.advance(days=800)
    assert give_back_lost(desk) == {}
    assert claim(desk) == []


def test_asking_again_while_the_mail_leaves_begins_a_new_occurrence(desk: Desk, clock: Clock) -> None:
    reminder_id = ask(desk, "a@news.example")
    clock.now += MONTH
    (held,) = claim(desk)
    begin(desk, held)
    ask(desk, "a@news.example")
    answer(desk, held, DeliveryOutcome.ACCEPTED)
    assert settle_all(desk, held) == {"lease_lost": 1}
    reminder = find(desk, reminder_id)
    assert (reminder.status, reminder.occurrence, reminder.attempts) == (ReminderStatus.SCHEDULED, 2, 0)
    assert reminder.due_at > clock()


def test_two_sweeps_at_once_return_each_reminder_once(desk: Desk, clock: Clock) -> None:
    for number in range(30):
        ask(desk, f"reader-{number}@news.example")
    clock.now += MONTH
    claim(desk)
    clock.now += desk.lease
    with ThreadPoolExecutor(2) as pool:
        returned = [pool.submit(give_back_lost, desk) for _ in range(2)]
    some = [done.result() for done in returned] + [give_back_lost(desk)]
    assert sum(counts.get("handed_back", 0) for counts in some) == 30
    with desk.database.reading() as session:
        assert session.scalar(text("SELECT count(*) FROM reminder_moves WHERE event = 'lose_lease'")) == 30


def test_the_same_claims_work_on_sqlite(sqlite_desk: Desk, clock: Clock) -> None:
    for number in range(6):
        ask(sqlite_desk, f"reader-{number}@news.example")
    clock.now += MONTH
    with ThreadPoolExecutor(3) as pool:
        claims = list(pool.map(lambda _: claim(sqlite_desk, limit=3), range(3)))
    claimed = [one for some in claims for one in some]
    assert len({one.reminder_id for one in claimed}) == len(claimed) == 6
    for one in claimed:
        begin(sqlite_desk, one)
        answer(sqlite_desk, one, DeliveryOutcome.ACCEPTED)
    assert settle_all(sqlite_desk, *claimed) == {"sent": 6}
    with sqlite_desk.database.reading() as session:
        sent = select(func.count()).select_from(Reminder).where(Reminder.status == ReminderStatus.SENT)
        assert session.scalar(sent) == 6

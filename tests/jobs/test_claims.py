"""Claims: each due reminder is one worker's at a time, and who lost it records nothing."""

import datetime
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, text

from schemas.vocabulary import ReminderStatus
from service.db.reminder import Reminder
from service.desk import Desk
from service.domain.deliveries import (
    LEASE,
    Claim,
    claim_due_reminders,
    hand_back,
    record_delay,
    record_failure,
    record_sent,
    return_lost_reminders,
    write_letter,
)
from service.domain.errors import LeaseLost
from service.domain.reminders import cancel_reminder, reminder_token
from tests.clock import Clock
from tests.db.people import ask
from tests.jobs.posts import find, history

MONTH = datetime.timedelta(days=32)


def claim(desk: Desk, limit: int = 100) -> list[Claim]:
    with desk.database.transaction() as session:
        return claim_due_reminders(session, now=desk.clock(), limit=limit)


def give_back_lost(desk: Desk) -> int:
    with desk.database.transaction() as session:
        return return_lost_reminders(session, now=desk.clock())


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
            claims = claim_due_reminders(other, now=clock(), limit=10)
        assert [one.reminder_id for one in claims] == [free]
    assert [one.reminder_id for one in claim(desk)] == [held]


def test_two_workers_never_claim_the_same_reminder(desk: Desk, clock: Clock) -> None:
    for number in range(60):
        ask(desk, f"reader-{number}@news.example")
    clock.now += MONTH
    start = threading.Barrier(4)

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
    clock.now += LEASE - datetime.timedelta(seconds=1)
    assert give_back_lost(desk) == 0
    clock.advance(days=800)
    assert give_back_lost(desk) == 1
    assert find(desk, reminder_id).status == ReminderStatus.SCHEDULED
    assert history(desk, reminder_id)[-1] == ("lose_lease", "scheduled")
    assert len(claim(desk)) == 1


def test_whoever_lost_the_lease_records_nothing_over_the_new_owner(desk: Desk, clock: Clock) -> None:
    reminder_id = ask(desk, "a@news.example")
    clock.now += MONTH
    (lost,) = claim(desk)
    clock.now += LEASE
    give_back_lost(desk)
    (held,) = claim(desk)
    records = (
        lambda session: record_sent(session, lost, now=clock()),
        lambda session: record_failure(session, lost, reason="x", now=clock()),
        lambda session: record_delay(session, lost, reason="x", now=clock()),
        lambda session: hand_back(session, lost, now=clock()),
        lambda session: write_letter(session, lost, links=desk.links, now=clock()),
    )
    for record in records:
        with pytest.raises(LeaseLost), desk.database.transaction() as session:
            record(session)
    assert find(desk, reminder_id).status == ReminderStatus.SENDING
    with desk.database.transaction() as session:
        record_sent(session, held, now=clock())
    assert find(desk, reminder_id).status == ReminderStatus.SENT


def test_writing_the_letter_renews_the_lease(desk: Desk, clock: Clock) -> None:
    reminder_id = ask(desk, "a@news.example")
    clock.now += MONTH
    (held,) = claim(desk)
    clock.now += LEASE - datetime.timedelta(seconds=1)
    with desk.database.transaction() as session:
        write_letter(session, held, links=desk.links, now=clock())
    assert find(desk, reminder_id).leased_until == clock() + LEASE


def test_a_cancel_while_the_mail_leaves_is_not_taken_back_by_the_record(desk: Desk, clock: Clock) -> None:
    reminder_id = ask(desk, "a@news.example")
    clock.now += MONTH
    (held,) = claim(desk)
    with desk.database.transaction() as session:
        token = reminder_token(desk.database.keyring, session.get_one(Reminder, reminder_id))
        cancel_reminder(session, token, now=clock())
    with pytest.raises(LeaseLost), desk.database.transaction() as session:
        record_sent(session, held, now=clock())
    assert find(desk, reminder_id).status == ReminderStatus.CANCELLED
    clock.advance(days=800)
    assert give_back_lost(desk) == 0
    assert claim(desk) == []


def test_asking_again_while_the_mail_leaves_begins_a_new_occurrence(desk: Desk, clock: Clock) -> None:
    reminder_id = ask(desk, "a@news.example")
    clock.now += MONTH
    (held,) = claim(desk)
    ask(desk, "a@news.example")
    with pytest.raises(LeaseLost), desk.database.transaction() as session:
        record_sent(session, held, now=clock())
    reminder = find(desk, reminder_id)
    assert (reminder.status, reminder.occurrence, reminder.attempts) == (ReminderStatus.SCHEDULED, 2, 0)
    assert reminder.due_at > clock()


def test_two_sweeps_at_once_return_each_reminder_once(desk: Desk, clock: Clock) -> None:
    for number in range(30):
        ask(desk, f"reader-{number}@news.example")
    clock.now += MONTH
    claim(desk)
    clock.now += LEASE
    with ThreadPoolExecutor(2) as pool:
        returned = [pool.submit(give_back_lost, desk) for _ in range(2)]
    assert sum(done.result() for done in returned) + give_back_lost(desk) == 30
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
        with sqlite_desk.database.transaction() as session:
            write_letter(session, one, links=sqlite_desk.links, now=clock())
            record_sent(session, one, now=clock())
    with sqlite_desk.database.reading() as session:
        sent = select(func.count()).select_from(Reminder).where(Reminder.status == ReminderStatus.SENT)
        assert session.scalar(sent) == 6

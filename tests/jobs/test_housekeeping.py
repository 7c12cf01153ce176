"""What the worker tidies: abandoned pledges, old keys, signs of life."""

import datetime
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, text

from jobs.beat import beat
from jobs.expire_pledges import expire_pledges
from jobs.forget_idempotency_keys import forget_idempotency_keys
from schemas.vocabulary import Frequency, PledgeStatus
from service.db.idempotency_key import IdempotencyKey
from service.db.pledge import Pledge, PledgeMove
from service.desk import Desk
from service.domain.campaigns import find_campaign
from service.domain.checkout import open_checkout
from service.domain.errors import IllegalMove
from service.domain.money import Money
from service.domain.payments import Charge, expire_pledge, settle_pledge
from service.domain.pledges import PledgeWish
from service.domain.summary import last_beat
from tests.clock import Clock
from tests.jobs.posts import told_to_stop

GO_ON = threading.Event()


def make(desk: Desk, key: str, frequency: Frequency = Frequency.ONCE) -> Pledge:
    with desk.database.reading() as session:
        campaign = find_campaign(session, "default")
    wish = PledgeWish(campaign="default", frequency=frequency, amount=500, currency="USD")
    opened = open_checkout(desk.database.transaction, desk.gateway, campaign, wish, key=key, clock=desk.clock)
    with desk.database.reading() as session:
        return session.get_one(Pledge, opened.id)


def status(desk: Desk, pledge: Pledge) -> PledgeStatus:
    with desk.database.reading() as session:
        return session.get_one(Pledge, pledge.id).status


def test_an_abandoned_checkout_expires_after_a_day_and_not_before(desk: Desk, clock: Clock) -> None:
    pledge = make(desk, "key-00000001")
    clock.now += datetime.timedelta(hours=24) - datetime.timedelta(seconds=1)
    expire_pledges(desk, GO_ON)
    assert status(desk, pledge) == PledgeStatus.PENDING
    clock.advance(seconds=1)
    expire_pledges(desk, GO_ON)
    assert status(desk, pledge) == PledgeStatus.EXPIRED
    with desk.database.reading() as session:
        moves = session.scalars(select(PledgeMove.event).order_by(PledgeMove.id)).all()
    assert moves == ["made", "expire"]


def test_a_paid_pledge_never_expires(desk: Desk, clock: Clock) -> None:
    pledge = make(desk, "key-00000001")
    with desk.database.transaction() as session:
        settle_pledge(session, pledge.id, charge(), email=None, now=clock())
    clock.advance(days=400)
    expire_pledges(desk, GO_ON)
    assert status(desk, pledge) == PledgeStatus.COMPLETED


def charge() -> Charge:
    return Charge(reference="late", money=Money(500, "USD"))


@pytest.mark.parametrize(
    ("frequency", "settled"),
    [(Frequency.ONCE, PledgeStatus.COMPLETED), (Frequency.MONTHLY, PledgeStatus.ACTIVE)],
)
def test_money_that_comes_after_the_expiry_is_taken(
    desk: Desk, clock: Clock, frequency: Frequency, settled: PledgeStatus
) -> None:
    pledge = make(desk, "key-00000001", frequency)
    clock.advance(days=2)
    expire_pledges(desk, GO_ON)
    for _ in range(2):
        with desk.database.transaction() as session:
            settle_pledge(session, pledge.id, charge(), email=None, now=clock())
    assert status(desk, pledge) == settled
    with pytest.raises(IllegalMove), desk.database.transaction() as session:
        expire_pledge(session, pledge.id, now=clock())


def test_many_pledges_expire_in_batches_and_a_stop_is_obeyed(desk: Desk, clock: Clock) -> None:
    make(desk, "key-00000001")
    with desk.database.transaction() as session:
        session.execute(
            text(
                "INSERT INTO pledges"
                " (id, campaign_id, status, frequency, amount_minor, currency, gateway, created_at)"
                " SELECT gen_random_uuid(),"
                " campaign_id, status, frequency, amount_minor, currency, gateway, created_at"
                " FROM pledges, generate_series(1, 249)"
            )
        )
    clock.advance(days=2)
    expire_pledges(desk, told_to_stop())
    assert expired(desk) == 0
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: expire_pledges(desk, GO_ON), range(2)))
    assert expired(desk) == 250
    with desk.database.reading() as session:
        assert session.scalar(text("SELECT count(*) FROM pledge_moves WHERE event = 'expire'")) == 250


def expired(desk: Desk) -> int | None:
    with desk.database.reading() as session:
        return session.scalar(
            select(func.count()).select_from(Pledge).where(Pledge.status == PledgeStatus.EXPIRED)
        )


def test_a_key_is_remembered_for_a_week(desk: Desk, clock: Clock) -> None:
    first = make(desk, "key-00000001")
    clock.now += datetime.timedelta(days=7) - datetime.timedelta(seconds=1)
    forget_idempotency_keys(desk, GO_ON)
    assert make(desk, "key-00000001").id == first.id
    clock.advance(seconds=1)
    forget_idempotency_keys(desk, GO_ON)
    with desk.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(IdempotencyKey)) == 0
        assert session.get(Pledge, first.id) is not None


def test_two_workers_that_start_at_once_both_show_that_they_live(desk: Desk, clock: Clock) -> None:
    start = threading.Barrier(4)

    def start_and_beat() -> None:
        start.wait()
        beat(desk, GO_ON)

    for _ in range(5):
        with desk.database.transaction() as session:
            session.execute(text("DELETE FROM heartbeats"))
        with ThreadPoolExecutor(4) as pool:
            beating = [pool.submit(start_and_beat) for _ in range(4)]
        for done in beating:
            done.result()
    clock.advance(minutes=1)
    beat(desk, GO_ON)
    with desk.database.reading() as session:
        assert last_beat(session) == clock()


def test_a_heartbeat_is_written_on_sqlite_too(sqlite_desk: Desk, clock: Clock) -> None:
    for _ in range(2):
        clock.advance(minutes=1)
        beat(sqlite_desk, GO_ON)
    with sqlite_desk.database.reading() as session:
        assert last_beat(session) == clock()

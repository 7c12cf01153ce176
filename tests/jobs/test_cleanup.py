"""Cleanup jobs, heartbeats and email counters."""

import dataclasses
import datetime
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, text

from jobs.cleanup import expire_pledges, purge_idempotency_keys, purge_reader_data
from jobs.monitoring import send_heartbeat
from schemas.enums import Frequency, PledgeStatus
from service.container import Container
from service.db.models.jobs import Heartbeat
from service.db.models.pledge import IdempotencyKey, Pledge, PledgeStatusChange
from service.domain.campaigns.definitions import get_campaign
from service.domain.email.counters import increment_counters, read_counters
from service.domain.money import Money
from service.domain.monitoring.summary import last_heartbeat
from service.domain.payments.event_handlers import SandboxCharge, record_sandbox_payment
from service.domain.pledges.checkout import create_pledge_checkout
from service.domain.pledges.pledges import CreatePledge
from tests.clock import FakeClock
from tests.db.factories import create_reminder
from tests.jobs.fake_mailer import stopped_event
from tests.threads import RUNNING


def create_pending_pledge(container: Container, key: str, frequency: Frequency = Frequency.ONCE) -> Pledge:
    with container.database.read_only() as session:
        campaign = get_campaign(session, "default")
    command = CreatePledge(campaign="default", frequency=frequency, amount=500, currency="USD")
    checkout = create_pledge_checkout(
        container.database.transaction,
        container.gateway,
        campaign,
        command,
        idempotency_key=key,
        clock=container.clock,
        urls=container.urls,
    )
    with container.database.read_only() as session:
        return session.get_one(Pledge, checkout.id)


def pledge_status(container: Container, pledge: Pledge) -> PledgeStatus:
    with container.database.read_only() as session:
        return session.get_one(Pledge, pledge.id).status


def test_abandoned_checkout_expires_after_a_day(container: Container, clock: FakeClock) -> None:
    pledge = create_pending_pledge(container, "key-00000001")
    clock.now += datetime.timedelta(hours=24) - datetime.timedelta(seconds=1)
    expire_pledges(container, RUNNING)
    assert pledge_status(container, pledge) == PledgeStatus.PENDING
    clock.advance(seconds=1)
    expire_pledges(container, RUNNING)
    assert pledge_status(container, pledge) == PledgeStatus.EXPIRED
    with container.database.read_only() as session:
        events = session.scalars(select(PledgeStatusChange.event).order_by(PledgeStatusChange.id)).all()
    assert events == ["made", "expire"]


def test_paid_pledge_never_expires(container: Container, clock: FakeClock) -> None:
    pledge = create_pending_pledge(container, "key-00000001")
    with container.database.transaction() as session:
        record_sandbox_payment(session, pledge.id, charge(), email=None, now=clock())
    clock.advance(days=400)
    expire_pledges(container, RUNNING)
    assert pledge_status(container, pledge) == PledgeStatus.COMPLETED


def charge() -> SandboxCharge:
    return SandboxCharge(reference="late", money=Money(500, "USD"))


@pytest.mark.parametrize(
    ("frequency", "expected"),
    [(Frequency.ONCE, PledgeStatus.COMPLETED), (Frequency.MONTHLY, PledgeStatus.ACTIVE)],
)
def test_payment_after_expiry_is_accepted(
    container: Container, clock: FakeClock, frequency: Frequency, expected: PledgeStatus
) -> None:
    pledge = create_pending_pledge(container, "key-00000001", frequency)
    clock.advance(days=2)
    expire_pledges(container, RUNNING)
    for _ in range(2):
        with container.database.transaction() as session:
            record_sandbox_payment(session, pledge.id, charge(), email=None, now=clock())
    assert pledge_status(container, pledge) == expected
    assert expire_pledges(container, RUNNING) == {"expired": 0}
    assert pledge_status(container, pledge) == expected


def test_pledges_expire_in_batches_and_stop_on_request(container: Container, clock: FakeClock) -> None:
    create_pending_pledge(container, "key-00000001")
    with container.database.transaction() as session:
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
    expire_pledges(container, stopped_event())
    assert count_expired(container) == 0
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: expire_pledges(container, RUNNING), range(2)))
    assert count_expired(container) == 250
    with container.database.read_only() as session:
        assert session.scalar(text("SELECT count(*) FROM pledge_status_changes WHERE event = 'expire'")) == 250


def count_expired(container: Container) -> int | None:
    with container.database.read_only() as session:
        return session.scalar(
            select(func.count()).select_from(Pledge).where(Pledge.status == PledgeStatus.EXPIRED)
        )


def test_idempotency_key_is_purged_after_a_week(container: Container, clock: FakeClock) -> None:
    first = create_pending_pledge(container, "key-00000001")
    clock.now += datetime.timedelta(days=7) - datetime.timedelta(seconds=1)
    purge_idempotency_keys(container, RUNNING)
    assert create_pending_pledge(container, "key-00000001").id == first.id
    clock.advance(seconds=1)
    purge_idempotency_keys(container, RUNNING)
    with container.database.read_only() as session:
        assert session.scalar(select(func.count()).select_from(IdempotencyKey)) == 0
        assert session.get(Pledge, first.id) is not None


def test_concurrent_workers_each_record_a_heartbeat(container: Container, clock: FakeClock) -> None:
    start = threading.Barrier(4, timeout=60)
    workers = [dataclasses.replace(container, worker_id=uuid.uuid4()) for _ in range(4)]

    def send_heartbeats(worker: Container) -> None:
        start.wait()
        send_heartbeat(worker, RUNNING)

    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            list(pool.map(send_heartbeats, workers))
    clock.advance(minutes=1)
    send_heartbeat(workers[0], RUNNING)
    with container.database.read_only() as session:
        assert last_heartbeat(session) == clock()
        heartbeats = dict(session.execute(select(Heartbeat.worker_id, Heartbeat.at)).all())
    assert heartbeats.keys() == {worker.worker_id.hex for worker in workers}
    assert sorted(heartbeats.values())[:3] == [clock() - datetime.timedelta(minutes=1)] * 3


def test_heartbeat_is_recorded_on_sqlite(sqlite_container: Container, clock: FakeClock) -> None:
    for _ in range(2):
        clock.advance(minutes=1)
        send_heartbeat(sqlite_container, RUNNING)
    with sqlite_container.database.read_only() as session:
        assert last_heartbeat(session) == clock()


def test_email_counters_add_up_on_sqlite(sqlite_container: Container) -> None:
    for _ in range(2):
        with sqlite_container.database.transaction() as session:
            increment_counters(session, sent=2, failed=1)
    with sqlite_container.database.read_only() as session:
        assert (read_counters(session)["sent"], read_counters(session)["failed"]) == (4, 2)


def test_cleanup_jobs_return_counts(container: Container, clock: FakeClock) -> None:
    for number in range(3):
        create_pending_pledge(container, f"key-0000000{number}")
    clock.advance(days=8)
    assert expire_pledges(container, RUNNING) == {"expired": 3}
    assert expire_pledges(container, RUNNING) == {"expired": 0}
    assert purge_idempotency_keys(container, RUNNING) == {"purged": 3}
    assert purge_idempotency_keys(container, RUNNING) == {"purged": 0}
    assert purge_reader_data(container, RUNNING) == {
        "reminders": 0,
        "supporters": 0,
        "erasures": 0,
        "stored_emails": 0,
    }
    reminder_id = create_reminder(container, "reader@news.example")
    with container.database.transaction() as session:
        session.execute(
            text("UPDATE reminders SET status = 'cancelled' WHERE id = :id").bindparams(id=reminder_id)
        )
    clock.advance(days=800)
    assert purge_reader_data(container, RUNNING) == {
        "reminders": 1,
        "supporters": 1,
        "erasures": 0,
        "stored_emails": 0,
    }

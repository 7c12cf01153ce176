"""Workers whose machines' clocks are wrong: leases and due times go by the database's clock."""

import dataclasses
import datetime
import uuid
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from jobs.emails import recover_expired_leases
from jobs.monitoring import send_heartbeat
from schemas.enums import ReminderStatus
from service.app import create_app
from service.bootstrap import build_container
from service.container import Container
from service.db.clock import DatabaseClock, utc_now
from service.db.models.email import OutgoingEmail
from service.db.models.jobs import Heartbeat
from service.db.models.reminder import Reminder
from service.domain.email.delivery import mark_sending
from service.domain.monitoring.database_contact import DatabaseContact
from tests.conftest import LOCAL_URL, settings_for
from tests.gateways.smtp_server import SmtpTestServer
from tests.jobs.fake_mailer import claim
from tests.jobs.test_clock_set_back import HOUR, libfaketime
from tests.jobs.test_worker_process import count, create_due_reminders
from tests.processes import wait_until, worker
from tests.threads import RUNNING

TEN_MINUTES = datetime.timedelta(minutes=10)
COUNT = 40


def database_time(container: Container) -> datetime.datetime:
    with container.database.read_only() as session:
        return session.execute(text("SELECT clock_timestamp()")).scalar_one()


@pytest.mark.parametrize("skew", [TEN_MINUTES, -TEN_MINUTES])
def test_clock_counts_on_from_the_database_and_not_from_the_machine(
    container: Container, skew: datetime.timedelta
) -> None:
    clock = DatabaseClock(machine=lambda: utc_now() + skew)
    assert not clock.is_synchronised
    with container.database.read_only() as session:
        clock.synchronise(session)
    before, now, after = database_time(container), clock(), database_time(container)
    # The answer took some time, and a busy machine makes that long.
    assert before - datetime.timedelta(minutes=1) <= now <= after + datetime.timedelta(minutes=1)
    assert abs(clock.skew - skew) < datetime.timedelta(minutes=1)


def test_clock_is_corrected_only_by_what_cannot_be_the_way_of_the_answer(container: Container) -> None:
    elapsed = iter([100.0, 102.0, 103.0, 103.0, 110.0, 114.0, 115.0, 115.0, 120.0, 120.0, 120.0, 120.0])
    clock = DatabaseClock(elapsed=lambda: next(elapsed, 120.0))
    with container.database.read_only() as session:
        clock.synchronise(session)
        first = clock()
        # The database's clock is read again at nearly the same moment, and the answer took four seconds: it fits.
        clock.synchronise(session)
    assert clock() - first < datetime.timedelta(seconds=30)


def test_no_lease_is_taken_for_expired_when_the_clock_of_the_database_was_set_forward(
    container: Container,
) -> None:
    elapsed, monotonic = [10_000.0], [0.0]
    clock = DatabaseClock(elapsed=lambda: elapsed[0])
    contact = DatabaseContact(lambda: monotonic[0])
    alive = dataclasses.replace(container, clock=clock)
    worker_b = dataclasses.replace(container, clock=clock, database_contact=contact, worker_id=uuid.uuid4())
    contact.start()
    for _ in range(5):
        send_heartbeat(worker_b, RUNNING)
        monotonic[0] += 5
    # The database's clock is set forward by an hour, such as by a failover. A worker's is behind until it is read.
    elapsed[0] -= HOUR.total_seconds()
    create_due_reminders(container, 1)
    with container.database.transaction() as session:
        session.execute(update(Reminder).values(due_at=utc_now() - 2 * HOUR))
        [lease] = claim(session, alive)
        mark_sending(session, lease, now=clock())
    assert recover_expired_leases(worker_b, RUNNING) == {}
    send_heartbeat(worker_b, RUNNING)
    # The other worker has sent no heartbeat since, so its lease seems to have ended an hour ago.
    assert recover_expired_leases(worker_b, RUNNING) == {}
    send_heartbeat(alive, RUNNING)
    for _ in range(5):
        monotonic[0] += 5
        send_heartbeat(worker_b, RUNNING)
    assert contact.is_steady
    assert recover_expired_leases(worker_b, RUNNING) == {}
    elapsed[0] += HOUR.total_seconds()
    assert recover_expired_leases(worker_b, RUNNING) == {"in_doubt": 1}


def test_sqlite_goes_by_the_clock_of_its_machine(tmp_path: Path) -> None:
    container = build_container(settings_for(f"sqlite:///{tmp_path}/mainstay.db"))
    clock = DatabaseClock(machine=lambda: datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC))
    with container.database.read_only() as session:
        clock.synchronise(session)
    assert clock.is_synchronised
    assert clock() == datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
    assert clock.skew == datetime.timedelta(0)


def test_workers_whose_clocks_differ_send_no_email_twice(container: Container, tmp_path: Path) -> None:
    create_due_reminders(container, COUNT)
    url = container.settings.database_url
    settings = {"MAIL_IN_DOUBT": "hold", "LEASE_SECONDS": "10"}
    ahead = {"LD_PRELOAD": libfaketime(), "FAKETIME": "+10m"}
    with SmtpTestServer() as sink:
        # Slow enough that each takes over what the other would lose by a wrong clock.
        sink.stall_seconds = 0.3
        settings["MAIL_URL"] = sink.url
        with (
            worker(url, tmp_path / "right.log", **settings),
            worker(url, tmp_path / "ahead.log", **settings, **ahead),
        ):
            wait_until(lambda: count(container, ReminderStatus.SENT) == COUNT, what="every email to be sent")
            assert sorted(sink.ids()) == sorted(set(sink.ids()))
            assert len(sink.ids()) == COUNT
            with container.database.read_only() as session:
                skews = sorted(session.scalars(select(Heartbeat.clock_skew_seconds)))
                assert {email.attempts for email in session.scalars(select(OutgoingEmail))} == {1}
            answer = create_app(container).test_client().get("/readyz", base_url=LOCAL_URL).json
    assert abs(skews[0]) < 60
    assert abs(skews[1] - 600) < 60
    assert "clock_differs_from_database" in (tmp_path / "ahead.log").read_text()
    assert "clock_differs_from_database" not in (tmp_path / "right.log").read_text()
    assert answer["attention"]["clock"].startswith("the clock of a worker is ")
    assert "ahead of the database's" in answer["attention"]["clock"]

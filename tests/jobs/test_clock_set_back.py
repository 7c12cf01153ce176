"""A clock that is set back by an hour delays no email: neither those in hand nor the jobs."""

import datetime
from pathlib import Path

import pytest
from sqlalchemy import select, update

from jobs.clock_watch import ClockWatch
from schemas.enums import ReminderStatus
from service.container import Container
from service.db.clock import utc_now
from service.db.models.email import SendRateLimit
from service.db.models.reminder import Reminder
from service.domain.circuit_breaker import CircuitBreaker
from service.domain.email.queue import release_send_slots, reserve_send_slots
from service.domain.monitoring.summary import last_heartbeat
from tests.clock import FakeClock
from tests.db.factories import create_reminder
from tests.gateways.smtp_server import SmtpTestServer
from tests.processes import wait_until, worker

HOUR = datetime.timedelta(hours=1)
LEASE = datetime.timedelta(minutes=1)
EMAILS = 8


class Monotonic:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_only_a_clock_that_was_set_back_is_noticed(clock: FakeClock) -> None:
    monotonic = Monotonic()
    watch = ClockWatch(clock, monotonic=monotonic)
    for wall, real in ((1, 1), (3, 1), (0, 4), (7200, 1), (1, 1)):
        clock.advance(seconds=wall)
        monotonic.now += real
        assert not watch.set_back_by()
    clock.now -= HOUR
    monotonic.now += 1
    assert watch.set_back_by() > datetime.timedelta(minutes=59)
    assert watch.set_back_by(), "it is reported until somebody has acted on it"
    watch.restart()
    assert not watch.set_back_by()


@pytest.mark.parametrize("needs_operator", [True, False])
def test_circuit_breaker_is_not_open_for_an_hour(clock: FakeClock, needs_operator: bool) -> None:
    breaker = CircuitBreaker()
    breaker.record_failure(clock(), needs_operator=needs_operator)
    assert not breaker.allows_request(clock())
    assert breaker.allows_request(clock() - HOUR)
    assert breaker.try_half_open(clock() - HOUR, within=LEASE)


def test_reserved_slots_are_released(container: Container) -> None:
    now = utc_now()
    with container.database.transaction() as session:
        reserve_send_slots(session, rate=1, count=5, now=now)
        release_send_slots(session, now=now - HOUR)
        assert reserve_send_slots(session, rate=1, count=1, now=now - HOUR) == [now - HOUR]
        release_send_slots(session, now=now)
        assert session.scalar(select(SendRateLimit.next_slot_at)) < now


def libfaketime() -> str:
    found = [str(path) for path in Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")]
    assert found, "install Debian's package faketime"
    return found[0]


def test_worker_goes_on_after_the_clock_was_set_back(container: Container, tmp_path: Path) -> None:
    now = utc_now()
    for number in range(EMAILS):
        create_reminder(container, f"reader-{number}@news.example")
    with container.database.transaction() as session:
        session.execute(update(Reminder).values(due_at=now - 3 * HOUR))
    setting = tmp_path / "clock"
    setting.write_text("+0")
    faked = {
        "LD_PRELOAD": libfaketime(),
        "FAKETIME_TIMESTAMP_FILE": str(setting),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }

    def sent() -> int:
        with container.database.read_only() as session:
            return len(session.scalars(select(Reminder.id).where(Reminder.status == ReminderStatus.SENT)).all())

    def heartbeat() -> datetime.datetime | None:
        with container.database.read_only() as session:
            return last_heartbeat(session)

    # All emails are claimed at once, and each waits for its turn.
    with (
        SmtpTestServer() as sink,
        worker(container.settings.database_url, tmp_path / "log", MAIL_URL=sink.url, MAIL_RATE="1", **faked),
    ):
        wait_until(lambda: len(sink.ids()) >= 2, what="the first emails")
        assert len(sink.ids()) < EMAILS
        before = heartbeat()
        setting.write_text("-1h")
        wait_until(lambda: sent() == EMAILS, what="every email to be sent")
        wait_until(lambda: heartbeat() > before, what="a heartbeat by the database's clock, which is as before")
        # What becomes due is sent as well, so the jobs run.
        late = create_reminder(container, "late@news.example")
        with container.database.transaction() as session:
            session.execute(update(Reminder).where(Reminder.id == late).values(due_at=now - 3 * HOUR))
        wait_until(lambda: len(sink.ids()) == EMAILS + 1, what="the email that became due later")
    assert "clock_set_back" in (tmp_path / "log").read_text()

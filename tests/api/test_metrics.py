"""/metrics: email counters, backlog, job runs, and the cache of status counts."""

import datetime
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask.testing import FlaskClient
from sqlalchemy import exc, update

from jobs.job_runs import JobRunRecorder
from jobs.schedule import Job
from jobs.worker import run_job
from schemas.enums import SuppressionReason
from service.api.metrics import cached_status_counts
from service.container import Container
from service.db.models.email import Suppression
from service.db.models.reminder import Reminder
from service.domain.email.counters import increment_counters, read_counters
from service.domain.monitoring.job_runs import start_run
from service.domain.monitoring.status_counts import CachedStatusCounts, StatusCounts
from service.settings import Settings
from tests.clock import FakeClock
from tests.conftest import LOCAL_URL, settings_for
from tests.db.factories import create_reminder
from tests.threads import RUNNING


@pytest.fixture
def settings(migrated_database: str) -> Settings:
    return settings_for(migrated_database, PUBLIC_URL=LOCAL_URL)


def read_metrics(client: FlaskClient) -> dict[str, float]:
    """Return all samples of /metrics, without cached counts."""
    cached_status_counts.cache_clear()
    response = client.get("/metrics")
    assert response.status_code == 200
    lines = [line.rpartition(" ") for line in response.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def add_counts(container: Container, **counts: int) -> None:
    with container.database.transaction() as session:
        increment_counters(session, **counts)


def test_every_email_outcome_has_a_counter_from_first_scrape(client: FlaskClient, container: Container) -> None:
    outcomes = ("sent", "failed", "skipped", "retried", "suppressed", "in_doubt")
    samples = {
        name: value for name, value in read_metrics(client).items() if name.startswith("mainstay_mails_total")
    }
    assert samples == {f'mainstay_mails_total{{outcome="{outcome}"}}': 0 for outcome in outcomes}
    assert "# TYPE mainstay_mails_total counter" in client.get("/metrics").text


def test_email_counters_accumulate(client: FlaskClient, container: Container) -> None:
    add_counts(container, sent=20, retried=1)
    add_counts(container, sent=5, in_doubt=1, failed=0)
    add_counts(container)
    metrics = read_metrics(client)
    assert metrics['mainstay_mails_total{outcome="sent"}'] == 25
    assert metrics['mainstay_mails_total{outcome="retried"}'] == 1
    assert metrics['mainstay_mails_total{outcome="in_doubt"}'] == 1
    assert metrics['mainstay_mails_total{outcome="failed"}'] == 0


def test_concurrent_counter_increments_neither_lose_updates_nor_deadlock(
    container: Container,
) -> None:
    increments = [{"sent": 1, "failed": 2}, {"failed": 2, "sent": 1}, {"retried": 1, "sent": 1, "failed": 2}]

    def increment(number: int) -> None:
        for _ in range(50):
            add_counts(container, **increments[number % 3])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(increment, range(6)))
    with container.database.read_only() as session:
        assert read_counters(session) | {"skipped": 0} == read_counters(session)
        assert (read_counters(session)["sent"], read_counters(session)["failed"]) == (300, 600)


def test_metrics_show_due_reminders_and_oldest_age(
    client: FlaskClient, container: Container, clock: FakeClock
) -> None:
    metrics = read_metrics(client)
    assert (metrics["mainstay_reminders_due"], metrics["mainstay_reminders_oldest_due_age_seconds"]) == (0, 0)
    for minutes in (-60, 10, 90):
        reminder_id = create_reminder(container, f"reader{minutes}@news.example")
        with container.database.transaction() as session:
            due_at = clock() - datetime.timedelta(minutes=minutes)
            session.execute(update(Reminder).where(Reminder.id == reminder_id).values(due_at=due_at))
    metrics = read_metrics(client)
    assert (metrics["mainstay_reminders_due"], metrics["mainstay_reminders_oldest_due_age_seconds"]) == (2, 5400)


def test_last_success_metric_includes_idle_runs(
    client: FlaskClient, container: Container, clock: FakeClock
) -> None:
    def finish(counts: dict[str, int] | None = None) -> None:
        clock.advance(seconds=5)

        def run(_container: Container, _stop: threading.Event) -> dict[str, int]:
            if counts is None:
                raise ConnectionResetError
            return counts

        run_job(Job("send_emails", run, 5), container, JobRunRecorder(container), RUNNING)

    name = 'mainstay_job_last_success_timestamp_seconds{job="send_emails"}'
    finish()
    assert name not in read_metrics(client)
    finish({"sent": 1})
    assert read_metrics(client)[name] == clock().timestamp()
    finish({})
    idle_at = clock().timestamp()
    finish()
    assert read_metrics(client)[name] == idle_at


def test_running_metric_counts_workers(client: FlaskClient, container: Container, clock: FakeClock) -> None:
    name = 'mainstay_job_running{job="send_emails"}'
    for workers in (1, 2):
        with container.database.transaction() as session:
            start_run(session, "send_emails", worker=uuid.uuid4(), now=clock())
        assert read_metrics(client)[name] == workers


def test_metrics_count_suppressions_by_reason(client: FlaskClient, container: Container, clock: FakeClock) -> None:
    with container.database.transaction() as session:
        for number, reason in enumerate(
            [SuppressionReason.HARD_BOUNCE, SuppressionReason.HARD_BOUNCE, SuppressionReason.COMPLAINT]
        ):
            session.add(Suppression(email_hash=bytes([number]) * 32, scope="*", reason=reason, at=clock()))
    metrics = read_metrics(client)
    assert metrics['mainstay_suppressed_addresses{reason="hard_bounce"}'] == 2
    assert metrics['mainstay_suppressed_addresses{reason="complaint"}'] == 1
    assert metrics['mainstay_suppressed_addresses{reason="erasure"}'] == 0


def status_counts(number: int) -> StatusCounts:
    """Return status counts that differ for each number."""
    return StatusCounts(pledges={}, reminders={}, emails={}, refunds={}, suppressed={}, jobs={str(number): None})


class FakeCountCache:
    """A cache whose count takes a configurable number of seconds by a fake clock."""

    def __init__(self, container: Container) -> None:
        self.started = 0
        self.seconds = 0.0
        self.fails = False
        self.monotonic_now = 1000.0
        self.may_finish = threading.Event()
        self.may_finish.set()
        self._cache = CachedStatusCounts(
            container.database.read_only, count=self._count, monotonic=lambda: self.monotonic_now
        )

    def _count(self, _session: object) -> StatusCounts:
        self.started += 1
        number = self.started
        assert self.may_finish.wait(30)
        self.monotonic_now += self.seconds
        if self.fails:
            raise exc.OperationalError("SELECT", {}, ConnectionResetError())
        return status_counts(number)

    def latest(self, *, wait_seconds: float = 30) -> StatusCounts | None:
        return self._cache.latest(wait_seconds=wait_seconds)


def test_slow_count_does_not_block_scrape(container: Container) -> None:
    cache = FakeCountCache(container)
    cache.seconds = 1
    cache.may_finish.clear()
    assert cache.latest(wait_seconds=0.01) is None
    with ThreadPoolExecutor(4) as pool:
        responses = pool.map(lambda _: cache.latest(wait_seconds=0.01), range(8))
        assert list(responses) == [None] * 8
    cache.may_finish.set()
    assert cache.latest() == status_counts(1)
    assert cache.started == 1


def test_count_is_cached_for_hundred_times_its_duration(container: Container) -> None:
    cache = FakeCountCache(container)
    cache.seconds = 2
    assert cache.latest() == status_counts(1)
    cache.monotonic_now += 199
    assert cache.latest() == status_counts(1)
    cache.monotonic_now += 1
    cache.seconds = 0
    # A count that took no time is not cached.
    assert [cache.latest(), cache.latest()] == [status_counts(2), status_counts(3)]


def test_database_outage_keeps_previous_count(container: Container) -> None:
    cache = FakeCountCache(container)
    assert cache.latest() == status_counts(1)
    # The duration of a failed count must not extend the cache time.
    cache.seconds, cache.fails = 10, True
    assert cache.latest() == status_counts(1)
    cache.fails = False
    assert cache.latest() == status_counts(3)

"""/metrics: email counters, backlog, job runs, and the cache of status counts."""

import datetime
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

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
from tests.clock import FakeClock
from tests.db.factories import create_reminder

GO_ON = threading.Event()


def numbers(client: FlaskClient) -> dict[str, float]:
    """Return all samples of /metrics, without cached counts."""
    cached_status_counts.cache_clear()
    response = client.get("/metrics")
    assert response.status_code == 200
    lines = [line.rpartition(" ") for line in response.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def count(container: Container, **counts: int) -> None:
    with container.database.transaction() as session:
        increment_counters(session, **counts)


def test_every_email_outcome_has_a_counter_from_first_scrape(client: FlaskClient, container: Container) -> None:
    ends = ("sent", "failed", "skipped", "retried", "suppressed", "in_doubt")
    mails = {name: value for name, value in numbers(client).items() if name.startswith("mainstay_mails_total")}
    assert mails == {f'mainstay_mails_total{{outcome="{end}"}}': 0 for end in ends}
    assert "# TYPE mainstay_mails_total counter" in client.get("/metrics").text


def test_email_counters_accumulate(client: FlaskClient, container: Container) -> None:
    count(container, sent=20, retried=1)
    count(container, sent=5, in_doubt=1, failed=0)
    count(container)
    shown = numbers(client)
    assert shown['mainstay_mails_total{outcome="sent"}'] == 25
    assert shown['mainstay_mails_total{outcome="retried"}'] == 1
    assert shown['mainstay_mails_total{outcome="in_doubt"}'] == 1
    assert shown['mainstay_mails_total{outcome="failed"}'] == 0


def test_concurrent_counter_increments_neither_lose_updates_nor_deadlock(
    container: Container,
) -> None:
    orders = [{"sent": 1, "failed": 2}, {"failed": 2, "sent": 1}, {"retried": 1, "sent": 1, "failed": 2}]

    def work(number: int) -> None:
        for _ in range(50):
            count(container, **orders[number % 3])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    with container.database.read_only() as session:
        assert read_counters(session) | {"skipped": 0} == read_counters(session)
        assert (read_counters(session)["sent"], read_counters(session)["failed"]) == (300, 600)


def test_metrics_show_due_reminders_and_oldest_age(
    client: FlaskClient, container: Container, clock: FakeClock
) -> None:
    shown = numbers(client)
    assert (shown["mainstay_reminders_due"], shown["mainstay_reminders_oldest_due_age_seconds"]) == (0, 0)
    for minutes in (-60, 10, 90):
        reminder_id = create_reminder(container, f"reader{minutes}@news.example")
        with container.database.transaction() as session:
            due_at = clock() - datetime.timedelta(minutes=minutes)
            session.execute(update(Reminder).where(Reminder.id == reminder_id).values(due_at=due_at))
    shown = numbers(client)
    assert (shown["mainstay_reminders_due"], shown["mainstay_reminders_oldest_due_age_seconds"]) == (2, 5400)


def test_last_success_metric_includes_idle_runs(
    client: FlaskClient, container: Container, clock: FakeClock
) -> None:
    def end(counts: dict[str, int] | None = None) -> None:
        clock.advance(seconds=5)

        def run(_container: Container, _stop: threading.Event) -> dict[str, int]:
            if counts is None:
                raise ConnectionResetError
            return counts

        run_job(Job("send_reminders", run, 5), container, JobRunRecorder(container), GO_ON)

    name = 'mainstay_job_last_success_timestamp_seconds{job="send_reminders"}'
    end()
    assert name not in numbers(client)
    end({"sent": 1})
    assert numbers(client)[name] == clock().timestamp()
    end({})
    idle_at = clock().timestamp()
    end()
    assert numbers(client)[name] == idle_at


def test_running_metric_counts_workers(client: FlaskClient, container: Container, clock: FakeClock) -> None:
    name = 'mainstay_job_running{job="send_reminders"}'
    for workers in (1, 2):
        with container.database.transaction() as session:
            start_run(session, "send_reminders", worker=uuid.uuid4(), now=clock())
        assert numbers(client)[name] == workers


def test_metrics_count_suppressions_by_reason(client: FlaskClient, container: Container, clock: FakeClock) -> None:
    with container.database.transaction() as session:
        for number, reason in enumerate(
            [SuppressionReason.HARD_BOUNCE, SuppressionReason.HARD_BOUNCE, SuppressionReason.COMPLAINT]
        ):
            session.add(Suppression(email_hash=bytes([number]) * 32, scope="*", reason=reason, at=clock()))
    shown = numbers(client)
    assert shown['mainstay_suppressed_addresses{reason="hard_bounce"}'] == 2
    assert shown['mainstay_suppressed_addresses{reason="complaint"}'] == 1
    assert shown['mainstay_suppressed_addresses{reason="erasure"}'] == 0


def standing(number: int) -> StatusCounts:
    """Return status counts that differ for each number."""
    return StatusCounts(pledges={}, reminders={}, notifications={}, suppressed={}, jobs={str(number): None})


class Counting:
    """A cache whose count takes a configurable number of seconds by a fake clock."""

    def __init__(self, container: Container) -> None:
        self.begun = 0
        self.seconds = 0.0
        self.fails = False
        self.watch = 1000.0
        self.may_end = threading.Event()
        self.may_end.set()
        self._kept = CachedStatusCounts(
            container.database.read_only, count=self._count, monotonic=lambda: self.watch
        )

    def _count(self, _session: object) -> StatusCounts:
        self.begun += 1
        number = self.begun
        assert self.may_end.wait(30)
        self.watch += self.seconds
        if self.fails:
            raise exc.OperationalError("SELECT", {}, ConnectionResetError())
        return standing(number)

    def latest(self, *, wait_seconds: float = 30) -> StatusCounts | None:
        return self._kept.latest(wait_seconds=wait_seconds)


def test_slow_count_does_not_block_scrape(container: Container) -> None:
    counting = Counting(container)
    counting.seconds = 1
    counting.may_end.clear()
    assert counting.latest(wait_seconds=0.01) is None
    with ThreadPoolExecutor(4) as pool:
        responses = pool.map(lambda _: counting.latest(wait_seconds=0.01), range(8))
        assert list(responses) == [None] * 8
    counting.may_end.set()
    assert counting.latest() == standing(1)
    assert counting.begun == 1


def test_count_is_cached_for_hundred_times_its_duration(container: Container) -> None:
    counting = Counting(container)
    counting.seconds = 2
    assert counting.latest() == standing(1)
    counting.watch += 199
    assert counting.latest() == standing(1)
    counting.watch += 1
    counting.seconds = 0
    # A count that took no time is not cached.
    assert [counting.latest(), counting.latest()] == [standing(2), standing(3)]


def test_database_outage_keeps_previous_count(container: Container) -> None:
    counting = Counting(container)
    assert counting.latest() == standing(1)
    # The duration of a failed count must not extend the cache time.
    counting.seconds, counting.fails = 10, True
    assert counting.latest() == standing(1)
    counting.fails = False
    assert counting.latest() == standing(3)

"""The schedule: the jobs, their intervals, late ticks, and a worker process that runs every job."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from apscheduler.events import EVENT_JOB_EXECUTED, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import select

from jobs.job_runs import JobRunRecorder
from jobs.schedule import JOBS, Job
from jobs.worker import make_scheduler, run_job
from schemas.enums import JobOutcome
from service.container import Container
from service.db.models.jobs import Heartbeat, JobRun
from tests.jobs.fake_mailer import stopped_event
from tests.processes import free_port, wait_until, worker
from tests.stripe_double import KEY, FakeStripe

SECONDS_BETWEEN_RUNS = {
    "beat": 5,
    "enqueue_reminders": 2,
    "send_emails": 2,
    "send_urgent_emails": 2,
    "recover_emails": 5,
    "apply_gateway_events": 2,
    "note_vanished_workers": 30,
    "fetch_balances": 60,
    "reconcile": 600,
    "announce_renewals": 3600,
    "read_abuse_reports": 60,
    "erase_supporters": 30,
    "fold_addresses": 60,
    "expire_pledges": 600,
    "purge_event_payloads": 3600,
    "purge_idempotency_keys": 3600,
    "purge_job_runs": 3600,
    "purge_images": 3600,
    "purge_notifications": 3600,
    "purge_reader_data": 3600,
}
# The names of the jobs are public (`mainstay jobs`, metrics), so a new name is a change for operators.
FUNCTIONS = {
    "beat": "send_heartbeat",
    "enqueue_reminders": "enqueue_reminders",
    "send_emails": "send_emails",
    "send_urgent_emails": "send_urgent_emails",
    "recover_emails": "recover_expired_leases",
    "apply_gateway_events": "process_gateway_events",
    "note_vanished_workers": "mark_dead_workers",
    "fetch_balances": "fetch_balance_transactions",
    "reconcile": "reconcile_payments",
    "announce_renewals": "queue_renewal_notifications",
    "read_abuse_reports": "read_abuse_reports",
    "erase_supporters": "erase_supporters",
    "fold_addresses": "fold_addresses",
    "expire_pledges": "expire_pledges",
    "purge_event_payloads": "purge_event_payloads",
    "purge_idempotency_keys": "purge_idempotency_keys",
    "purge_job_runs": "purge_job_runs",
    "purge_images": "purge_images",
    "purge_notifications": "purge_notifications",
    "purge_reader_data": "purge_reader_data",
}


def test_every_job_is_scheduled_at_its_interval() -> None:
    assert {job.name: job.every_seconds for job in JOBS} == SECONDS_BETWEEN_RUNS
    assert len(JOBS) == len(SECONDS_BETWEEN_RUNS)


def test_every_job_runs_its_function() -> None:
    assert {job.name: job.run.__name__ for job in JOBS} == FUNCTIONS


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def paused_scheduler(container: Container, stop: threading.Event) -> Iterator[BackgroundScheduler]:
    """Return the worker's scheduler, paused."""
    scheduler = make_scheduler(container, stop)
    scheduler.start(paused=True)
    yield scheduler
    stop.set()
    if scheduler.running:
        scheduler.shutdown(wait=True)


def test_scheduler_runs_every_job_at_its_interval_without_overlap(
    paused_scheduler: BackgroundScheduler,
) -> None:
    scheduled = paused_scheduler.get_jobs()
    assert {job.id: job.trigger.interval.total_seconds() for job in scheduled} == SECONDS_BETWEEN_RUNS
    assert {job.max_instances for job in scheduled} == {1}


def test_late_tick_runs_the_job_once(container: Container, paused_scheduler: BackgroundScheduler) -> None:
    ticks: list[JobExecutionEvent] = []
    paused_scheduler.add_listener(ticks.append, EVENT_JOB_EXECUTED | EVENT_JOB_MISSED)
    for scheduled in paused_scheduler.get_jobs():
        if scheduled.id != "purge_job_runs":
            scheduled.remove()
    hourly = paused_scheduler.get_job("purge_job_runs")
    # Three runs were missed, the last half an hour ago.
    hourly.modify(next_run_time=hourly.next_run_time - 2.5 * hourly.trigger.interval)
    paused_scheduler.resume()
    wait_until(lambda: ticks, what="the late tick")
    paused_scheduler.shutdown(wait=True)
    assert [tick.code for tick in ticks] == [EVENT_JOB_EXECUTED]
    assert recorded(container) == {"purge_job_runs"}


def test_no_job_starts_during_shutdown(container: Container) -> None:
    ran = []
    run_job(Job("some_job", lambda *_: ran.append(True), 5), container, JobRunRecorder(container), stopped_event())
    assert ran == []
    assert recorded(container) == set()


def recorded(container: Container) -> set[str]:
    """Return the jobs that have a recorded run."""
    with container.database.read_only() as session:
        return set(session.scalars(select(JobRun.job)))


def heartbeats(container: Container) -> list[str]:
    with container.database.read_only() as session:
        return list(session.scalars(select(Heartbeat.worker_id)))


def test_worker_process_runs_every_job_at_start(container: Container, tmp_path: Path) -> None:
    with FakeStripe() as stripe:
        # Some jobs do nothing with our own gateway, and one does nothing without a mailbox.
        taking_money = {"GATEWAY": "stripe", "STRIPE_SECRET_KEY": KEY, "STRIPE_API_BASE": stripe.url}
        mailbox = {"ARF_MAILBOX_URL": f"imaps://reports:password@127.0.0.1:{free_port()}/"}
        with worker(container.settings.database_url, tmp_path / "log", **taking_money, **mailbox):
            expected = set(SECONDS_BETWEEN_RUNS) - {"beat"}
            wait_until(
                lambda: heartbeats(container) and recorded(container) == expected,
                what=f"a heartbeat and a run of every job, see {tmp_path / 'log'}",
            )
    assert recorded(container) == expected
    with container.database.read_only() as session:
        failed = session.scalars(select(JobRun.job).where(JobRun.outcome != JobOutcome.SUCCEEDED)).all()
    assert failed == []

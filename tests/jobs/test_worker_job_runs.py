"""Job runs of worker processes: counts by worker, a clean stop, and a killed worker."""

import dataclasses
import datetime
import threading
import uuid
from collections import Counter
from pathlib import Path

from sqlalchemy import select, update

from jobs.email_queue import MAX_BATCH_SIZE
from jobs.monitoring import mark_dead_workers
from schemas.enums import JobOutcome
from service.container import Container
from service.db.clock import utc_now
from service.db.models.jobs import Heartbeat, JobRun
from service.db.models.reminder import Reminder
from service.domain.email.counters import read_counters
from tests.db.factories import create_reminder
from tests.gateways.smtp_server import SmtpTestServer
from tests.jobs.fake_mailer import status_counts
from tests.processes import wait_until, worker


def create_due_reminders(container: Container, count: int) -> None:
    """Create reminders that are due by the real clock."""
    for number in range(count):
        create_reminder(container, f"reader-{number}@news.example")
    with container.database.transaction() as session:
        session.execute(update(Reminder).values(due_at=utc_now() - datetime.timedelta(seconds=1)))


def runs(container: Container, job: str = "send_emails") -> list[JobRun]:
    """Return the runs of a job, earliest first."""
    with container.database.read_only() as session:
        return list(session.scalars(select(JobRun).where(JobRun.job == job).order_by(JobRun.started_at)))


def is_sent(container: Container, count: int) -> bool:
    return status_counts(container).get("sent") == count


def workers(container: Container) -> set[uuid.UUID]:
    """Return the workers that have a heartbeat."""
    with container.database.read_only() as session:
        return {uuid.UUID(process) for process in session.scalars(select(Heartbeat.worker_id))}


def test_job_runs_are_recorded_by_worker_and_finished_by_a_clean_stop(
    container: Container, tmp_path: Path
) -> None:
    # More than one worker claims at a time.
    due = MAX_BATCH_SIZE + 50
    url = container.settings.database_url
    with SmtpTestServer() as sink:
        # The first email of each gets its reply once both are connected, so both get a share.
        sink.may_reply = lambda: sink.connections >= 2
        with (
            worker(url, tmp_path / "one.log", MAIL_URL=sink.url, SENDING_HOURS="any"),
            worker(url, tmp_path / "two.log", MAIL_URL=sink.url, SENDING_HOURS="any"),
        ):
            wait_until(lambda: len(workers(container)) == 2, what="both workers' heartbeats")
            create_due_reminders(container, due)
            wait_until(lambda: is_sent(container, due), what="every email to be sent")
        assert len(sink.recipients) == due
    sent = Counter()
    for run in runs(container):
        sent[run.worker] += run.counts.get("sent", 0)
    assert sum(sent.values()) == due
    assert {worker_id for worker_id, count in sent.items() if count} == workers(container)
    with container.database.read_only() as session:
        assert read_counters(session)["sent"] == due
        outcomes = session.execute(select(JobRun.outcome, JobRun.ended_at)).all()
    assert {outcome for outcome, _ in outcomes} == {JobOutcome.SUCCEEDED}
    assert all(ended_at is not None for _, ended_at in outcomes)


def test_run_of_a_killed_worker_is_marked_crashed_and_no_other(container: Container, tmp_path: Path) -> None:
    create_due_reminders(container, 1)
    url = container.settings.database_url
    with SmtpTestServer() as sink:
        sink.stall_seconds = 300
        with worker(url, tmp_path / "one.log", MAIL_URL=sink.url, SENDING_HOURS="any") as killed:
            assert sink.in_data.wait(60)
            wait_until(lambda: workers(container) != set(), what="a heartbeat")
            killed.kill()
            killed.wait(60)
        [dead] = workers(container)
        with worker(url, tmp_path / "two.log", MAIL_URL=sink.url, SENDING_HOURS="any"):
            wait_until(lambda: len(workers(container)) == 2, what="another worker")
            # An earlier run may have ended, before the reminder was in the outbox.
            [run] = [run for run in runs(container) if run.worker == dead and run.ended_at is None]
            assert run.outcome == JobOutcome.RUNNING
            backdate_worker(container, dead, since=utc_now() - datetime.timedelta(seconds=91))
            # The live worker marks dead ones too and may have the row locked, so this is retried.
            wait_until(lambda: is_marked_crashed(container, dead), what="the run to be marked as crashed")
    with container.database.read_only() as session:
        crashed = session.scalars(select(JobRun.worker).where(JobRun.outcome == JobOutcome.CRASHED)).all()
        assert set(crashed) == {dead}
        assert session.scalars(select(JobRun).where(JobRun.outcome == JobOutcome.RUNNING)).all() == []


def is_marked_crashed(container: Container, dead: uuid.UUID) -> bool:
    """Mark dead workers, by the real clock; return whether this one's run is marked as crashed."""
    mark_dead_workers(dataclasses.replace(container, clock=utc_now), threading.Event())
    *_, run = [run for run in runs(container) if run.worker == dead]
    return run.outcome == JobOutcome.CRASHED and run.ended_at is not None


def backdate_worker(container: Container, process: uuid.UUID, *, since: datetime.datetime) -> None:
    """Backdate a worker's heartbeat and run."""
    with container.database.transaction() as session:
        session.execute(update(Heartbeat).where(Heartbeat.worker_id == process.hex).values(at=since))
        session.execute(update(JobRun).where(JobRun.worker == process).values(started_at=since))

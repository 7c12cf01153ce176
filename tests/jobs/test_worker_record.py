"""What real workers leave on record: the work of each, nothing unended after a clean stop, and a death by name."""

import dataclasses
import datetime
import threading
import uuid
from collections import Counter
from pathlib import Path

from sqlalchemy import select, update

from jobs.monitoring import mark_dead_workers
from schemas.enums import JobOutcome
from service.container import Container, utc_now
from service.db.models.jobs import Heartbeat, JobRun
from service.db.models.reminder import Reminder
from service.domain.email.counters import read_counters
from tests.db.factories import create_reminder
from tests.gateways.smtp_server import SmtpTestServer
from tests.jobs.fake_mailer import status_counts
from tests.processes import wait_until, worker


def ask_for(container: Container, count: int) -> None:
    """Set reminders that are due by the real clock."""
    for number in range(count):
        create_reminder(container, f"reader-{number}@news.example")
    with container.database.transaction() as session:
        session.execute(update(Reminder).values(due_at=utc_now() - datetime.timedelta(seconds=1)))


def runs(container: Container, job: str = "send_reminders") -> list[JobRun]:
    """Return the runs of a job, the first first."""
    with container.database.read_only() as session:
        return list(session.scalars(select(JobRun).where(JobRun.job == job).order_by(JobRun.started_at)))


def is_sent(container: Container, count: int) -> bool:
    return status_counts(container).get("sent") == count


def workers(container: Container) -> set[uuid.UUID]:
    """Return the workers that ever showed that they live."""
    with container.database.read_only() as session:
        return {uuid.UUID(process) for process in session.scalars(select(Heartbeat.worker_id))}


def test_the_work_of_two_workers_is_on_record_by_worker_and_ends_with_a_clean_stop(
    container: Container, tmp_path: Path
) -> None:
    url = container.settings.database_url
    with SmtpTestServer() as sink:
        # The first mail of each has its reply once both are at it, so that both have their share.
        sink.may_answer = lambda: sink.connections >= 2
        with (
            worker(url, tmp_path / "one.log", MAIL_URL=sink.url, SENDING_HOURS="any"),
            worker(url, tmp_path / "two.log", MAIL_URL=sink.url, SENDING_HOURS="any"),
        ):
            wait_until(lambda: len(workers(container)) == 2, what="both workers to show that they live")
            ask_for(container, 250)
            wait_until(lambda: is_sent(container, 250), what="every mail to leave")
        assert len(sink.recipients) == 250
    sent = Counter()
    for run in runs(container):
        sent[run.worker] += run.counts.get("sent", 0)
    assert sum(sent.values()) == 250
    assert {by for by, count in sent.items() if count} == workers(container)
    with container.database.read_only() as session:
        assert read_counters(session)["sent"] == 250
        ends = session.execute(select(JobRun.outcome, JobRun.ended_at)).all()
    assert {outcome for outcome, _ in ends} == {JobOutcome.SUCCEEDED}
    assert all(ended_at is not None for _, ended_at in ends)


def test_a_run_whose_worker_was_killed_is_on_record_as_vanished_and_the_others_are_not(
    container: Container, tmp_path: Path
) -> None:
    ask_for(container, 1)
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
            [run] = [run for run in runs(container) if run.worker == dead]
            assert (run.outcome, run.ended_at) == (JobOutcome.RUNNING, None)
            be_silent(container, dead, since=utc_now() - datetime.timedelta(seconds=91))
            # The living worker looks for the dead as well, and may just now hold the row; so ask until it is told.
            wait_until(lambda: is_noted(container, dead), what="the run to be noted as vanished")
    with container.database.read_only() as session:
        vanished = session.scalars(select(JobRun.worker).where(JobRun.outcome == JobOutcome.CRASHED)).all()
        assert set(vanished) == {dead}
        assert session.scalars(select(JobRun).where(JobRun.outcome == JobOutcome.RUNNING)).all() == []


def is_noted(container: Container, dead: uuid.UUID) -> bool:
    """Look for silent workers, by the real clock, and return whether this one's sending is known to have ended."""
    mark_dead_workers(dataclasses.replace(container, clock=utc_now), threading.Event())
    [run] = [run for run in runs(container) if run.worker == dead]
    return run.outcome == JobOutcome.CRASHED and run.ended_at is not None


def be_silent(container: Container, process: uuid.UUID, *, since: datetime.datetime) -> None:
    """Let it be as if a worker had died a while ago."""
    with container.database.transaction() as session:
        session.execute(update(Heartbeat).where(Heartbeat.worker_id == process.hex).values(at=since))
        session.execute(update(JobRun).where(JobRun.worker == process).values(started_at=since))

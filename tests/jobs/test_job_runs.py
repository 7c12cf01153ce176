"""Job runs: recorded counts, failures and crashes, and one row for idle runs."""

import dataclasses
import datetime
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import exc, select, text
from structlog.testing import capture_logs

from jobs.cleanup import purge_job_runs
from jobs.job_runs import JobRunRecorder
from jobs.monitoring import mark_dead_workers
from jobs.schedule import JOBS, Job
from jobs.worker import run_job
from schemas.enums import JobOutcome
from service.bootstrap import build_container
from service.container import Container
from service.db.models.jobs import Heartbeat, JobRun
from service.domain.monitoring.job_runs import finish_run, latest_runs, start_run
from service.domain.monitoring.summary import record_heartbeat
from tests.clock import FakeClock
from tests.conftest import settings_for
from tests.threads import RUNNING

UNREACHABLE_URL = "postgresql://nobody@127.0.0.1:1/gone?connect_timeout=2"


@pytest.fixture(params=["postgresql", "sqlite"])
def any_container(request: pytest.FixtureRequest) -> Container:
    """Return a container on each database in turn."""
    return request.getfixturevalue("container" if request.param == "postgresql" else "sqlite_container")


def job(run, name: str = "some_job") -> Job:
    """Return a job that calls `run`."""
    return Job(name, lambda _container, _stop: run(), 5)


def runs(container: Container) -> list[JobRun]:
    """Return every run, latest first."""
    with container.database.read_only() as session:
        return list(latest_runs(session, limit=1000))


def fail() -> None:
    raise ConnectionResetError("reader@news.example is gone")


def test_run_is_recorded_while_running_and_when_finished(any_container: Container, clock: FakeClock) -> None:
    started_at, during = clock(), []

    def work() -> dict[str, int]:
        during.extend(runs(any_container))
        clock.advance(seconds=12)
        return {"sent": 3, "retried": 0}

    run_job(job(work), any_container, JobRunRecorder(any_container), RUNNING)
    [running], [done] = during, runs(any_container)
    assert (running.job, running.outcome, running.ended_at) == ("some_job", JobOutcome.RUNNING, None)
    assert (done.id, done.job, done.worker) == (running.id, "some_job", any_container.worker_id)
    assert (done.outcome, done.counts, done.error) == (JobOutcome.SUCCEEDED, {"sent": 3}, None)
    assert (done.started_at, done.ended_at) == (started_at, started_at + datetime.timedelta(seconds=12))


def test_failed_run_records_the_error_class_only(any_container: Container) -> None:
    run_job(job(fail), any_container, JobRunRecorder(any_container), RUNNING)
    [failed] = runs(any_container)
    assert (failed.outcome, failed.counts, failed.error) == (JobOutcome.FAILED, {}, "ConnectionResetError")
    assert failed.ended_at is not None


def test_idle_runs_leave_one_row_for_the_latest(any_container: Container, clock: FakeClock) -> None:
    recorder = JobRunRecorder(any_container)
    for counts in [{}, {"sent": 0}] * 20:
        clock.advance(seconds=5)
        run_job(job(lambda found=counts: found), any_container, recorder, RUNNING)
    [idle] = runs(any_container)
    assert (idle.outcome, idle.counts, idle.started_at) == (JobOutcome.SUCCEEDED, {}, clock())


def test_productive_runs_stay_beside_the_latest_idle_run(any_container: Container, clock: FakeClock) -> None:
    recorder = JobRunRecorder(any_container)
    for counts in ({}, {"sent": 1}, {}, {"sent": 2}, {}):
        clock.advance(seconds=5)
        run_job(job(lambda found=counts: found), any_container, recorder, RUNNING)
    assert [run.counts for run in runs(any_container)] == [{}, {"sent": 2}, {"sent": 1}]


def test_run_without_a_check_leaves_no_row(any_container: Container) -> None:
    run_job(job(lambda: None), any_container, JobRunRecorder(any_container), RUNNING)
    assert runs(any_container) == []


def test_failed_runs_are_not_idle_runs(any_container: Container) -> None:
    recorder = JobRunRecorder(any_container)
    for _ in range(2):
        run_job(job(fail), any_container, recorder, RUNNING)
    assert [run.outcome for run in runs(any_container)] == [JobOutcome.FAILED] * 2


def test_concurrent_idle_runs_do_not_conflict(container: Container) -> None:
    recorders = [JobRunRecorder(container) for _ in range(4)]

    def run_idle(recorder: JobRunRecorder) -> None:
        for _ in range(25):
            run_job(job(dict), container, recorder, RUNNING)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run_idle, recorders))
    assert [(run.outcome, run.counts) for run in runs(container)] == [(JobOutcome.SUCCEEDED, {})]


def test_every_job_but_the_heartbeat_is_recorded(container: Container) -> None:
    recorder = JobRunRecorder(container)
    for due in JOBS:
        run_job(dataclasses.replace(due, run=lambda _container, _stop: {"some": 1}), container, recorder, RUNNING)
    assert sorted(run.job for run in runs(container)) == sorted({job.name for job in JOBS} - {"beat"})


def test_job_runs_without_a_database_and_logs_its_own_error() -> None:
    container, executions = build_container(settings_for(UNREACHABLE_URL)), []

    def work() -> None:
        executions.append(True)
        fail()

    recorder = JobRunRecorder(container)
    with capture_logs() as logs:
        for _ in range(2):
            run_job(job(work), container, recorder, RUNNING)
    assert len(executions) == 2
    assert [line["event"] for line in logs] == ["job_run_not_recorded", "job_failed"] * 2


def test_pending_run_end_is_recorded_when_the_job_starts_again(
    container: Container, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder, started_at = JobRunRecorder(container), clock()

    def lose_database() -> None:
        monkeypatch.setattr("jobs.job_runs.finish_run", raise_operational_error)
        fail()

    def raise_operational_error(*_: object, **__: object) -> None:
        raise exc.OperationalError("UPDATE", {}, ConnectionResetError())

    run_job(job(lose_database), container, recorder, RUNNING)
    [running] = runs(container)
    assert running.outcome == JobOutcome.RUNNING
    run_job(job(lambda: {"sent": 1}, "another_job"), container, JobRunRecorder(container), RUNNING)
    monkeypatch.undo()
    clock.advance(seconds=5)
    run_job(job(lambda: {"sent": 1}), container, recorder, RUNNING)
    run_job(job(lambda: {"sent": 2}), container, recorder, RUNNING)
    mine = [run for run in runs(container) if run.job == "some_job"]
    assert [(run.outcome, run.error) for run in reversed(mine)] == [
        (JobOutcome.FAILED, "ConnectionResetError"),
        (JobOutcome.SUCCEEDED, None),
        (JobOutcome.SUCCEEDED, None),
    ]
    assert mine[-1].ended_at == started_at


def start(container: Container, worker: uuid.UUID):
    with container.database.transaction() as session:
        return start_run(session, "send_emails", worker=worker, now=container.clock())


def heartbeat(container: Container, worker: uuid.UUID) -> None:
    with container.database.transaction() as session:
        record_heartbeat(session, worker=worker, now=container.clock())


def known_workers(container: Container) -> set[str]:
    with container.database.read_only() as session:
        return set(session.scalars(select(Heartbeat.worker_id)))


def test_run_of_a_dead_worker_is_marked_crashed(any_container: Container, clock: FakeClock) -> None:
    dead, alive = uuid.uuid4(), uuid.uuid4()
    for worker in (dead, alive):
        heartbeat(any_container, worker)
        start(any_container, worker)
    clock.advance(seconds=89)
    heartbeat(any_container, alive)
    assert mark_dead_workers(any_container, RUNNING)["vanished"] == 0
    clock.advance(seconds=1)
    assert mark_dead_workers(any_container, RUNNING)["vanished"] == 1
    assert mark_dead_workers(any_container, RUNNING)["vanished"] == 0
    assert {(run.worker, run.outcome, run.ended_at) for run in runs(any_container)} == {
        (dead, JobOutcome.CRASHED, clock()),
        (alive, JobOutcome.RUNNING, None),
    }


def test_new_worker_is_not_marked_crashed_before_its_first_heartbeat(
    container: Container, clock: FakeClock
) -> None:
    start(container, uuid.uuid4())
    clock.advance(seconds=89)
    assert mark_dead_workers(container, RUNNING)["vanished"] == 0
    clock.advance(seconds=1)
    assert mark_dead_workers(container, RUNNING)["vanished"] == 1


def test_returning_worker_overwrites_its_crashed_mark(any_container: Container, clock: FakeClock) -> None:
    run = start(any_container, uuid.uuid4())
    clock.advance(minutes=5)
    mark_dead_workers(any_container, RUNNING)
    with any_container.database.transaction() as session:
        finish_run(session, run, counts={"sent": 7}, error=None, now=clock())
    assert [(run.outcome, run.counts) for run in runs(any_container)] == [(JobOutcome.SUCCEEDED, {"sent": 7})]


def test_heartbeat_is_purged_after_a_day(any_container: Container, clock: FakeClock) -> None:
    dead, alive = uuid.uuid4(), uuid.uuid4()
    heartbeat(any_container, dead)
    clock.advance(seconds=1)
    heartbeat(any_container, alive)
    clock.advance(seconds=24 * 3600 - 1)
    assert mark_dead_workers(any_container, RUNNING) == {"vanished": 0, "workers_purged": 1}
    assert known_workers(any_container) == {alive.hex}


def test_job_run_is_purged_after_thirty_days(any_container: Container, clock: FakeClock) -> None:
    run_job(job(lambda: {"sent": 1}), any_container, JobRunRecorder(any_container), RUNNING)
    clock.advance(days=30, seconds=-1)
    assert purge_job_runs(any_container, RUNNING) == {"purged": 0}
    clock.advance(seconds=1)
    assert purge_job_runs(any_container, RUNNING) == {"purged": 1}
    assert runs(any_container) == []


def test_old_job_runs_are_purged_in_batches(container: Container, clock: FakeClock) -> None:
    start(container, uuid.uuid4())
    with container.database.transaction() as session:
        session.execute(
            text(
                "INSERT INTO job_runs (id, job, worker, started_at, outcome, counts)"
                " SELECT gen_random_uuid(), job, worker, started_at, outcome, counts"
                " FROM job_runs, generate_series(1, 2499)"
            )
        )
    clock.advance(days=31)
    assert purge_job_runs(container, RUNNING) == {"purged": 2500}

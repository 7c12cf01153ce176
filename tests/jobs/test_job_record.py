"""The record of the workers' runs: what was done, what failed, what vanished, and no row for a look in vain."""

import dataclasses
import datetime
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import exc, select, text
from structlog.testing import capture_logs

from jobs.cleanup import forget_job_runs
from jobs.note_vanished_workers import note_vanished_workers
from jobs.record import JobRecord
from jobs.schedule import JOBS, Job
from jobs.worker import run_once
from schemas.vocabulary import JobOutcome
from service.db.heartbeat import Heartbeat
from service.db.job_run import JobRun
from service.desk import Desk
from service.domain.watch.job_record import begin_run, end_run, latest_runs
from service.domain.watch.summary import beat
from service.wiring import build_desk
from tests.clock import Clock
from tests.conftest import settings_for

GO_ON = threading.Event()
AWAY = "postgresql://nobody@127.0.0.1:1/gone?connect_timeout=2"


@pytest.fixture(params=["postgresql", "sqlite"])
def any_desk(request: pytest.FixtureRequest) -> Desk:
    """Return a desk on either database."""
    return request.getfixturevalue("desk" if request.param == "postgresql" else "sqlite_desk")


def job(run, name: str = "some_job") -> Job:
    """Return a job that does as a test says."""
    return Job(name, lambda _desk, _stop: run(), 5)


def runs(desk: Desk) -> list[JobRun]:
    """Return every run, the latest first."""
    with desk.database.reading() as session:
        return list(latest_runs(session, limit=1000))


def fail() -> None:
    raise ConnectionResetError("reader@news.example is gone")


def test_a_run_shows_while_it_runs_and_then_what_it_did(any_desk: Desk, clock: Clock) -> None:
    began, seen = clock(), []

    def work() -> dict[str, int]:
        seen.extend(runs(any_desk))
        clock.advance(seconds=12)
        return {"sent": 3, "retried": 0}

    run_once(job(work), any_desk, JobRecord(any_desk), GO_ON)
    [running], [done] = seen, runs(any_desk)
    assert (running.job, running.outcome, running.ended_at) == ("some_job", JobOutcome.RUNNING, None)
    assert (done.id, done.job, done.worker) == (running.id, "some_job", any_desk.worker_id)
    assert (done.outcome, done.counts, done.error) == (JobOutcome.DONE, {"sent": 3}, None)
    assert (done.started_at, done.ended_at) == (began, began + datetime.timedelta(seconds=12))


def test_a_run_that_fails_shows_the_class_of_its_error_and_nothing_that_it_said(any_desk: Desk) -> None:
    run_once(job(fail), any_desk, JobRecord(any_desk), GO_ON)
    [failed] = runs(any_desk)
    assert (failed.outcome, failed.counts, failed.error) == (JobOutcome.FAILED, {}, "ConnectionResetError")
    assert failed.ended_at is not None


def test_a_thousand_looks_in_vain_leave_one_row_that_says_when_the_last_was(any_desk: Desk, clock: Clock) -> None:
    record = JobRecord(any_desk)
    for counts in [{}, {"sent": 0}] * 20:
        clock.advance(seconds=5)
        run_once(job(lambda found=counts: found), any_desk, record, GO_ON)
    [idle] = runs(any_desk)
    assert (idle.outcome, idle.counts, idle.started_at) == (JobOutcome.DONE, {}, clock())


def test_what_did_something_stays_beside_the_latest_look_in_vain(any_desk: Desk, clock: Clock) -> None:
    record = JobRecord(any_desk)
    for counts in ({}, {"sent": 1}, {}, {"sent": 2}, {}):
        clock.advance(seconds=5)
        run_once(job(lambda found=counts: found), any_desk, record, GO_ON)
    assert [run.counts for run in runs(any_desk)] == [{}, {"sent": 2}, {"sent": 1}]


def test_a_job_that_did_not_even_look_leaves_no_row(any_desk: Desk) -> None:
    run_once(job(lambda: None), any_desk, JobRecord(any_desk), GO_ON)
    assert runs(any_desk) == []


def test_a_failure_without_counts_is_no_look_in_vain(any_desk: Desk) -> None:
    record = JobRecord(any_desk)
    for _ in range(2):
        run_once(job(fail), any_desk, record, GO_ON)
    assert [run.outcome for run in runs(any_desk)] == [JobOutcome.FAILED] * 2


def test_workers_that_look_in_vain_at_once_do_not_hinder_one_another(desk: Desk) -> None:
    records = [JobRecord(desk) for _ in range(4)]

    def look(record: JobRecord) -> None:
        for _ in range(25):
            run_once(job(dict), desk, record, GO_ON)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(look, records))
    assert [(run.outcome, run.counts) for run in runs(desk)] == [(JobOutcome.DONE, {})]


def test_every_job_but_the_heartbeat_is_written_down(desk: Desk) -> None:
    record = JobRecord(desk)
    for due in JOBS:
        run_once(dataclasses.replace(due, run=lambda _desk, _stop: {"some": 1}), desk, record, GO_ON)
    assert sorted(run.job for run in runs(desk)) == sorted({job.name for job in JOBS} - {"beat"})


def test_without_a_database_the_job_still_runs_and_its_own_error_is_the_one_that_is_logged() -> None:
    desk, ran = build_desk(settings_for(AWAY)), []

    def work() -> None:
        ran.append(True)
        fail()

    record = JobRecord(desk)
    with capture_logs() as said:
        for _ in range(2):
            run_once(job(work), desk, record, GO_ON)
    assert len(ran) == 2
    assert [line["event"] for line in said] == ["job_run_not_recorded", "job_failed"] * 2


def test_an_end_that_could_not_be_written_is_written_when_the_job_begins_again(
    desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, began = JobRecord(desk), clock()

    def lose_the_database() -> None:
        monkeypatch.setattr("jobs.record.end_run", gone)
        fail()

    def gone(*_: object, **__: object) -> None:
        raise exc.OperationalError("UPDATE", {}, ConnectionResetError())

    run_once(job(lose_the_database), desk, record, GO_ON)
    [running] = runs(desk)
    assert running.outcome == JobOutcome.RUNNING
    run_once(job(lambda: {"sent": 1}, "another_job"), desk, JobRecord(desk), GO_ON)
    monkeypatch.undo()
    clock.advance(seconds=5)
    run_once(job(lambda: {"sent": 1}), desk, record, GO_ON)
    run_once(job(lambda: {"sent": 2}), desk, record, GO_ON)
    mine = [run for run in runs(desk) if run.job == "some_job"]
    assert [(run.outcome, run.error) for run in reversed(mine)] == [
        (JobOutcome.FAILED, "ConnectionResetError"),
        (JobOutcome.DONE, None),
        (JobOutcome.DONE, None),
    ]
    assert mine[-1].ended_at == began


def begin(desk: Desk, worker: uuid.UUID):
    with desk.database.transaction() as session:
        return begin_run(session, "send_reminders", worker=worker, now=desk.clock())


def show_life(desk: Desk, worker: uuid.UUID) -> None:
    with desk.database.transaction() as session:
        beat(session, worker=worker, now=desk.clock())


def workers_known(desk: Desk) -> set[str]:
    with desk.database.reading() as session:
        return set(session.scalars(select(Heartbeat.process)))


def test_a_run_whose_worker_fell_silent_is_noted_as_vanished(any_desk: Desk, clock: Clock) -> None:
    dead, alive = uuid.uuid4(), uuid.uuid4()
    for worker in (dead, alive):
        show_life(any_desk, worker)
        begin(any_desk, worker)
    clock.advance(seconds=89)
    show_life(any_desk, alive)
    assert note_vanished_workers(any_desk, GO_ON)["vanished"] == 0
    clock.advance(seconds=1)
    assert note_vanished_workers(any_desk, GO_ON)["vanished"] == 1
    assert note_vanished_workers(any_desk, GO_ON)["vanished"] == 0
    assert {(run.worker, run.outcome, run.ended_at) for run in runs(any_desk)} == {
        (dead, JobOutcome.VANISHED, clock()),
        (alive, JobOutcome.RUNNING, None),
    }


def test_a_worker_that_has_only_begun_is_not_taken_for_dead_before_its_first_heartbeat(
    desk: Desk, clock: Clock
) -> None:
    begin(desk, uuid.uuid4())
    clock.advance(seconds=89)
    assert note_vanished_workers(desk, GO_ON)["vanished"] == 0
    clock.advance(seconds=1)
    assert note_vanished_workers(desk, GO_ON)["vanished"] == 1


def test_a_worker_that_comes_back_corrects_what_was_noted_of_it(any_desk: Desk, clock: Clock) -> None:
    run = begin(any_desk, uuid.uuid4())
    clock.advance(minutes=5)
    note_vanished_workers(any_desk, GO_ON)
    with any_desk.database.transaction() as session:
        end_run(session, run, counts={"sent": 7}, error=None, now=clock())
    assert [(run.outcome, run.counts) for run in runs(any_desk)] == [(JobOutcome.DONE, {"sent": 7})]


def test_a_worker_is_forgotten_a_day_after_its_last_sign_of_life(any_desk: Desk, clock: Clock) -> None:
    gone, late = uuid.uuid4(), uuid.uuid4()
    show_life(any_desk, gone)
    clock.advance(seconds=1)
    show_life(any_desk, late)
    clock.advance(seconds=24 * 3600 - 1)
    assert note_vanished_workers(any_desk, GO_ON) == {"vanished": 0, "workers_forgotten": 1}
    assert workers_known(any_desk) == {late.hex}


def test_a_run_is_remembered_for_thirty_days(any_desk: Desk, clock: Clock) -> None:
    run_once(job(lambda: {"sent": 1}), any_desk, JobRecord(any_desk), GO_ON)
    clock.advance(days=30, seconds=-1)
    assert forget_job_runs(any_desk, GO_ON) == {"forgotten": 0}
    clock.advance(seconds=1)
    assert forget_job_runs(any_desk, GO_ON) == {"forgotten": 1}
    assert runs(any_desk) == []


def test_many_old_runs_are_forgotten_in_batches(desk: Desk, clock: Clock) -> None:
    begin(desk, uuid.uuid4())
    with desk.database.transaction() as session:
        session.execute(
            text(
                "INSERT INTO job_runs (id, job, worker, started_at, outcome, counts)"
                " SELECT gen_random_uuid(), job, worker, started_at, outcome, counts"
                " FROM job_runs, generate_series(1, 2499)"
            )
        )
    clock.advance(days=31)
    assert forget_job_runs(desk, GO_ON) == {"forgotten": 2500}

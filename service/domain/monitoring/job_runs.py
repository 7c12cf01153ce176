"""The history of job runs: one row for each run that did something or failed.

Most runs find nothing to do. Only the latest idle run of each job is stored, in one row per job, so that a job
that polls every few seconds shows its last poll and does not fill the table.
"""

import datetime
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from schemas.enums import JobOutcome
from service.db.models.jobs import Heartbeat, JobRun
from service.db.upsert import dialect_insert

HEARTBEAT_TIMEOUT = datetime.timedelta(seconds=90)
HEARTBEAT_RETENTION = datetime.timedelta(days=1)
JOB_RUN_RETENTION = datetime.timedelta(days=30)
BATCH_SIZE = 1000

# The id of a job's idle run is derived from the job's name.
IDLE_RUN_NAMESPACE = uuid.UUID("0f4f8f9e-6f0f-5d5c-9a53-5a1f6f1f0d5b")


@dataclass(frozen=True)
class StartedRun:
    """A run in progress."""

    id: uuid.UUID
    job: str
    worker: uuid.UUID
    started_at: datetime.datetime


def start_run(session: Session, job: str, *, worker: uuid.UUID, now: datetime.datetime) -> StartedRun:
    """Record that a worker starts a job."""
    row = JobRun(job=job, worker=worker, started_at=now, outcome=JobOutcome.RUNNING, counts={})
    session.add(row)
    # The flush generates the id.
    session.flush()
    return StartedRun(row.id, job, worker, now)


def finish_run(
    session: Session,
    run: StartedRun,
    *,
    counts: Mapping[str, int] | None,
    error: str | None,
    now: datetime.datetime,
) -> None:
    """Record how a run ended: its counts, or the class name of its error.

    With `counts=None` and no error, the run's row is deleted. A worker that reports late overwrites the outcome
    `CRASHED`, which was only an assumption.
    """
    nonzero_counts = {name: count for name, count in (counts or {}).items() if count}
    row_id = run.id
    if error is None and not nonzero_counts:
        session.execute(delete(JobRun).where(JobRun.id == run.id))
        if counts is None:
            return
        row_id = idle_run_id(run.job)
    row = {
        "job": run.job,
        "worker": run.worker,
        "started_at": run.started_at,
        "ended_at": now,
        "outcome": JobOutcome.SUCCEEDED if error is None else JobOutcome.FAILED,
        "counts": nonzero_counts,
        "error": error,
    }
    statement = dialect_insert(session, JobRun).values(id=row_id, **row)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[JobRun.id], set_={name: statement.excluded[name] for name in row}
        )
    )


def idle_run_id(job: str) -> uuid.UUID:
    """Return the id of the row for a job's latest idle run."""
    return uuid.uuid5(IDLE_RUN_NAMESPACE, job)


def mark_crashed_runs(session: Session, *, now: datetime.datetime) -> int:
    """Mark the runs of workers without a recent heartbeat as crashed; return how many."""
    silent_since = now - HEARTBEAT_TIMEOUT
    alive = session.scalars(select(Heartbeat.worker_id).where(Heartbeat.at > silent_since)).all()
    # A worker may start a run just before its first heartbeat, so recent runs are skipped.
    running = session.execute(
        select(JobRun.id, JobRun.worker)
        .where(JobRun.outcome == JobOutcome.RUNNING, JobRun.started_at <= silent_since)
        .with_for_update(skip_locked=True)
    ).all()
    crashed = [run_id for run_id, worker in running if worker.hex not in alive]
    if crashed:
        statement = update(JobRun).where(JobRun.id.in_(crashed)).values(outcome=JobOutcome.CRASHED, ended_at=now)
        session.execute(statement.execution_options(synchronize_session=False))
    return len(crashed)


def purge_heartbeats(session: Session, *, now: datetime.datetime) -> int:
    """Delete heartbeats older than `HEARTBEAT_RETENTION`; return how many."""
    statement = delete(Heartbeat).where(Heartbeat.at <= now - HEARTBEAT_RETENTION).returning(Heartbeat.worker_id)
    return len(session.scalars(statement).all())


def purge_job_runs(session: Session, *, now: datetime.datetime, limit: int = BATCH_SIZE) -> int:
    """Delete a batch of runs older than `JOB_RUN_RETENTION`; return how many."""
    expired = (
        select(JobRun.id)
        .where(JobRun.started_at <= now - JOB_RUN_RETENTION)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = session.scalars(expired).all()
    if ids:
        session.execute(delete(JobRun).where(JobRun.id.in_(ids)).execution_options(synchronize_session=False))
    return len(ids)


def latest_runs(session: Session, *, job: str | None = None, limit: int) -> Sequence[JobRun]:
    """Return the runs that started last, of one job or of all, latest first."""
    runs = select(JobRun).order_by(JobRun.started_at.desc(), JobRun.id.desc()).limit(limit)
    return session.scalars(runs if job is None else runs.where(JobRun.job == job)).all()


def last_finished_run(session: Session, job: str) -> JobRun | None:
    """Return a job's latest run that did something or failed, or None."""
    return session.scalar(
        select(JobRun)
        .where(
            JobRun.job == job,
            JobRun.id != idle_run_id(job),
            JobRun.outcome.in_((JobOutcome.SUCCEEDED, JobOutcome.FAILED)),
        )
        .order_by(JobRun.started_at.desc())
        .limit(1)
    )

"""What the workers did and when, one row for each run of a job that did something.

Most runs find nothing to do. Of those only the latest is kept, in one row for each job, so that a job that looks
every few seconds shows when it last looked and does not fill the table.
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

# The row of a job's latest run without work has an id that follows from the job's name.
IDLE_RUN_NAMESPACE = uuid.UUID("0f4f8f9e-6f0f-5d5c-9a53-5a1f6f1f0d5b")


@dataclass(frozen=True)
class StartedRun:
    """A run that has begun."""

    id: uuid.UUID
    job: str
    worker: uuid.UUID
    started_at: datetime.datetime


def start_run(session: Session, job: str, *, worker: uuid.UUID, now: datetime.datetime) -> StartedRun:
    """Write down that a worker begins a job."""
    row = JobRun(job=job, worker=worker, started_at=now, outcome=JobOutcome.RUNNING, counts={})
    session.add(row)
    # The id is made when the row is written.
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
    """Write down how a run ended: what it did, or the class of the error that ended it.

    Without any counts (None), nothing of it is kept. The word of the worker itself counts more than that it
    `crashed`, which was only what it looked like.
    """
    did = {name: count for name, count in (counts or {}).items() if count}
    row_id = run.id
    if error is None and not did:
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
        "counts": did,
        "error": error,
    }
    statement = dialect_insert(session, JobRun).values(id=row_id, **row)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[JobRun.id], set_={name: statement.excluded[name] for name in row}
        )
    )


def idle_run_id(job: str) -> uuid.UUID:
    """Return the id of the row that holds a job's latest run without work."""
    return uuid.uuid5(IDLE_RUN_NAMESPACE, job)


def mark_crashed_runs(session: Session, *, now: datetime.datetime) -> int:
    """Note which runs will never end, because their worker has been silent for too long; return how many."""
    silent_since = now - HEARTBEAT_TIMEOUT
    alive = session.scalars(select(Heartbeat.worker_id).where(Heartbeat.at > silent_since)).all()
    # A worker may begin a run just before its first heartbeat; so a run that young is left alone.
    running = session.execute(
        select(JobRun.id, JobRun.worker)
        .where(JobRun.outcome == JobOutcome.RUNNING, JobRun.started_at <= silent_since)
        .with_for_update(skip_locked=True)
    ).all()
    vanished = [run_id for run_id, worker in running if worker.hex not in alive]
    if vanished:
        ended = update(JobRun).where(JobRun.id.in_(vanished)).values(outcome=JobOutcome.CRASHED, ended_at=now)
        session.execute(ended.execution_options(synchronize_session=False))
    return len(vanished)


def purge_heartbeats(session: Session, *, now: datetime.datetime) -> int:
    """Delete the last signs of life of workers that are long gone; return how many."""
    gone = delete(Heartbeat).where(Heartbeat.at <= now - HEARTBEAT_RETENTION).returning(Heartbeat.worker_id)
    return len(session.scalars(gone).all())


def purge_job_runs(session: Session, *, now: datetime.datetime, limit: int = BATCH_SIZE) -> int:
    """Delete runs that began long ago; return how many."""
    old = (
        select(JobRun.id)
        .where(JobRun.started_at <= now - JOB_RUN_RETENTION)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = session.scalars(old).all()
    if ids:
        session.execute(delete(JobRun).where(JobRun.id.in_(ids)).execution_options(synchronize_session=False))
    return len(ids)


def latest_runs(session: Session, *, job: str | None = None, limit: int) -> Sequence[JobRun]:
    """Return the runs that began last, of one job or of all, the latest first."""
    runs = select(JobRun).order_by(JobRun.started_at.desc(), JobRun.id.desc()).limit(limit)
    return session.scalars(runs if job is None else runs.where(JobRun.job == job)).all()


def last_finished_run(session: Session, job: str) -> JobRun | None:
    """Return the run of a job that last did something or failed; None if none ever did."""
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

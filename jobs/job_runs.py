"""Writes down what a worker's jobs do, beside them: no job waits for its record, nor fails with it."""

from collections.abc import Callable, Mapping

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from service.container import Container
from service.domain.monitoring.job_runs import StartedRun, finish_run, start_run

log = structlog.get_logger()


class JobRunRecorder:
    """The record that one worker keeps. Each job runs once at a time, so that each has its own entries here."""

    def __init__(self, container: Container) -> None:
        self._container = container
        # Ends that could not be written when they came, as when the database went away during the run.
        self._pending_writes: dict[str, Callable[[Session], None]] = {}

    def start(self, job: str) -> StartedRun | None:
        """Write down that a job begins, and how it ended last if that is still owed; None if neither can be."""
        owed = self._pending_writes.get(job)
        try:
            with self._container.database.transaction() as session:
                if owed is not None:
                    owed(session)
                run = start_run(session, job, worker=self._container.worker_id, now=self._container.clock())
        except SQLAlchemyError as error:
            log.warning("job_run_not_recorded", job=job, error_class=type(error).__name__)
            return None
        self._pending_writes.pop(job, None)
        return run

    def finish(self, run: StartedRun, *, counts: Mapping[str, int] | None, error: Exception | None) -> None:
        """Write down how a run ended, now or when the job begins the next time."""
        now, kind = self._container.clock(), type(error).__name__ if error else None

        def write(session: Session) -> None:
            finish_run(session, run, counts=counts, error=kind, now=now)

        try:
            with self._container.database.transaction() as session:
                write(session)
        except SQLAlchemyError as trouble:
            log.warning("job_end_not_recorded", job=run.job, error_class=type(trouble).__name__)
            self._pending_writes[run.job] = write

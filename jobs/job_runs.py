"""Records the runs of a worker's jobs. A job neither waits for its record nor fails because of it."""

from collections.abc import Callable, Mapping

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from service.container import Container
from service.domain.monitoring.job_runs import StartedRun, finish_run, start_run

log = structlog.get_logger()


class JobRunRecorder:
    """Records the job runs of one worker. A job never runs twice at once, so each has at most one open run."""

    def __init__(self, container: Container) -> None:
        self._container = container
        # Ends of runs that could not be written, such as when the database went down during the run.
        self._pending_writes: dict[str, Callable[[Session], None]] = {}

    def start(self, job: str) -> StartedRun | None:
        """Record the start of a run, after the end of the last one if that is pending; None if the write fails."""
        pending = self._pending_writes.get(job)
        try:
            with self._container.database.transaction() as session:
                if pending is not None:
                    pending(session)
                run = start_run(session, job, worker=self._container.worker_id, now=self._container.clock())
        except SQLAlchemyError as error:
            log.warning("job_run_not_recorded", job=job, error_class=type(error).__name__)
            return None
        self._pending_writes.pop(job, None)
        return run

    def finish(self, run: StartedRun, *, counts: Mapping[str, int] | None, error: Exception | None) -> None:
        """Record the end of a run, now or when the job starts the next time."""
        now, error_class = self._container.clock(), type(error).__name__ if error else None

        def write(session: Session) -> None:
            finish_run(session, run, counts=counts, error=error_class, now=now)

        try:
            with self._container.database.transaction() as session:
                write(session)
        except SQLAlchemyError as failure:
            log.warning("job_end_not_recorded", job=run.job, error_class=type(failure).__name__)
            self._pending_writes[run.job] = write

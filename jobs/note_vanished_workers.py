"""Notes which workers fell silent, and the runs that they will never end."""

import threading

import structlog

from service.desk import Container
from service.domain.watch.job_record import forget_silent_workers, note_vanished_runs

log = structlog.get_logger()


def mark_dead_workers(container: Container, _stop: threading.Event) -> dict[str, int]:
    """Note the runs of workers that vanished; forget workers that are long gone."""
    with container.database.transaction() as session:
        vanished = note_vanished_runs(session, now=container.clock())
        forgotten = forget_silent_workers(session, now=container.clock())
    if vanished:
        log.warning("job_runs_vanished", count=vanished)
    return {"vanished": vanished, "workers_forgotten": forgotten}

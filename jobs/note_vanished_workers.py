"""Notes which workers fell silent, and the runs that they will never end."""

import threading

import structlog

from service.container import Container
from service.domain.monitoring.job_runs import mark_crashed_runs, purge_heartbeats

log = structlog.get_logger()


def mark_dead_workers(container: Container, _stop: threading.Event) -> dict[str, int]:
    """Note the runs of workers that vanished; forget workers that are long gone."""
    with container.database.transaction() as session:
        vanished = mark_crashed_runs(session, now=container.clock())
        forgotten = purge_heartbeats(session, now=container.clock())
    if vanished:
        log.warning("job_runs_vanished", count=vanished)
    return {"vanished": vanished, "workers_forgotten": forgotten}

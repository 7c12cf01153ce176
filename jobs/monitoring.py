"""Shows that this worker is alive, and still at what it holds."""

import threading

import structlog

from service.container import Container
from service.domain.monitoring.job_runs import mark_crashed_runs, purge_heartbeats
from service.domain.monitoring.summary import record_heartbeat as write_beat
from service.domain.notifications.queue import renew_notification_leases
from service.domain.reminders.queue import renew_leases


def send_heartbeat(container: Container, _stop: threading.Event) -> None:
    """Write the worker's heartbeat, which /readyz reads, and renew its leases."""
    with container.database.transaction() as session:
        write_beat(session, worker=container.worker_id, now=container.clock())
        renew_leases(session, worker=container.worker_id, now=container.clock(), lease=container.lease_duration)
        renew_notification_leases(
            session, worker=container.worker_id, now=container.clock(), lease=container.lease_duration
        )


log = structlog.get_logger()


def mark_dead_workers(container: Container, _stop: threading.Event) -> dict[str, int]:
    """Note the runs of workers that vanished; forget workers that are long gone."""
    with container.database.transaction() as session:
        vanished = mark_crashed_runs(session, now=container.clock())
        forgotten = purge_heartbeats(session, now=container.clock())
    if vanished:
        log.warning("job_runs_vanished", count=vanished)
    return {"vanished": vanished, "workers_forgotten": forgotten}

"""Sends the worker's heartbeat, which renews its leases, and detects workers that died."""

import datetime
import threading

import structlog

from jobs.emails import urgent_owner
from service.container import Container
from service.db.clock import TOLERANCE as CLOCK_TOLERANCE
from service.db.clock import DatabaseClock
from service.domain.email.queue import renew_leases
from service.domain.monitoring.job_runs import mark_crashed_runs, purge_heartbeats
from service.domain.monitoring.summary import record_heartbeat

log = structlog.get_logger()


def send_heartbeat(container: Container, _stop: threading.Event) -> None:
    """Record the worker's heartbeat, which /readyz reads, and renew its leases."""
    clock = container.clock
    with container.database.transaction() as session:
        skew = datetime.timedelta(0)
        if isinstance(clock, DatabaseClock):
            if clock.synchronise(session) > CLOCK_TOLERANCE:
                # The leases of workers that have not read the clock since look expired.
                container.database_contact.start()
            skew = clock.skew
        now = clock()
        record_heartbeat(session, worker=container.worker_id, now=now, clock_skew=skew)
        owners = (container.worker_id, urgent_owner(container))
        renew_leases(session, owners=owners, now=now, lease=container.lease_duration)
    container.database_contact.record()


def mark_dead_workers(container: Container, _stop: threading.Event) -> dict[str, int]:
    """Mark the runs of dead workers as crashed, and purge the heartbeats of workers that died long ago."""
    with container.database.transaction() as session:
        crashed = mark_crashed_runs(session, now=container.clock())
        purged = purge_heartbeats(session, now=container.clock())
    if crashed:
        log.warning("job_runs_vanished", count=crashed)
    return {"vanished": crashed, "workers_purged": purged}

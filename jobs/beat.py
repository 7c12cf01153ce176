"""Shows that this worker is alive, and still at what it holds."""

import threading

from service.container import Container
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

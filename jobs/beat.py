"""Shows that this worker is alive, and still at what it holds."""

import threading

from service.desk import Desk
from service.domain.mail.claims import renew_leases
from service.domain.notice_mail.claims import renew_notice_leases
from service.domain.watch.summary import beat as write_beat


def beat(desk: Desk, _stop: threading.Event) -> None:
    """Write the worker's heartbeat, which /readyz reads, and renew its leases."""
    with desk.database.transaction() as session:
        write_beat(session, worker=desk.worker_id, now=desk.clock())
        renew_leases(session, worker=desk.worker_id, now=desk.clock(), lease=desk.lease)
        renew_notice_leases(session, worker=desk.worker_id, now=desk.clock(), lease=desk.lease)

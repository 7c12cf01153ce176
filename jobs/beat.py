"""Shows that this worker is alive."""

import threading

from service.desk import Desk
from service.domain.summary import beat as write_beat


def beat(desk: Desk, _stop: threading.Event) -> None:
    """Write the worker's heartbeat, which /readyz reads."""
    with desk.database.transaction() as session:
        write_beat(session, worker=desk.worker_id, now=desk.clock())

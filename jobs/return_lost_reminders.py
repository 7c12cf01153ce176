"""Puts reminders whose worker vanished back in the queue."""

import threading

import structlog

from service.desk import Desk
from service.domain.deliveries import return_lost_reminders as return_some

log = structlog.get_logger()


def return_lost_reminders(desk: Desk, stop: threading.Event) -> None:
    """Return every reminder whose lease has ended."""
    while not stop.is_set():
        with desk.database.transaction() as session:
            returned = return_some(session, now=desk.clock())
        if not returned:
            return
        log.warning("lost_reminders_returned", count=returned)

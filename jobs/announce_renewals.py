"""Writes down the notices about annual pledges that are soon to be paid again; another job sends them."""

import threading

import structlog

from service.container import Container
from service.domain.notifications.renewals import enqueue_renewal_notifications

log = structlog.get_logger()


def queue_renewal_notifications(container: Container, stop: threading.Event) -> dict[str, int]:
    """Announce all that renew within three weeks and were not announced yet, a batch at a time."""
    announced = 0
    while not stop.is_set():
        with container.database.transaction() as session:
            batch = enqueue_renewal_notifications(session, now=container.clock())
        if not batch:
            break
        log.info("renewals_announced", count=batch)
        announced += batch
    return {"announced": announced}

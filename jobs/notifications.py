"""Enqueues the emails before an annual pledge renews."""

import threading

import structlog

from service.container import Container
from service.domain.notifications.renewals import enqueue_renewal_notifications

log = structlog.get_logger()


def queue_renewal_notifications(container: Container, stop: threading.Event) -> dict[str, int]:
    """Enqueue a notification for each annual pledge that renews within three weeks and has none yet."""
    total = 0
    while not stop.is_set():
        with container.database.transaction() as session:
            count = enqueue_renewal_notifications(session, now=container.clock())
        if not count:
            break
        log.info("renewals_announced", count=count)
        total += count
    return {"announced": total}

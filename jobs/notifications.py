"""Enqueues the emails before an annual pledge renews, and those that come once a year."""

import threading
from collections.abc import Callable

import structlog

from service.container import Container
from service.domain.notifications.renewals import (
    enqueue_monthly_yearly_notifications,
    enqueue_renewal_notifications,
)
from service.domain.notifications.yearly_receipts import enqueue_yearly_receipts

log = structlog.get_logger()


def queue_renewal_notifications(container: Container, stop: threading.Event) -> dict[str, int]:
    """Enqueue a notification for each annual pledge that renews soon and has none yet.

    Monthly pledges whose anniversary has come get one too, where their campaign wants it. So do readers who chose
    one receipt a year, in January.
    """
    announced = _enqueue_all(container, stop, enqueue_renewal_notifications)
    yearly = _enqueue_all(container, stop, enqueue_monthly_yearly_notifications)
    receipts = _enqueue_all(container, stop, enqueue_yearly_receipts)
    if announced or yearly or receipts:
        log.info("renewals_announced", count=announced, monthly=yearly, receipts=receipts)
    counts = {"monthly": yearly, "receipts": receipts}
    return {"announced": announced} | {name: count for name, count in counts.items() if count}


def _enqueue_all(container: Container, stop: threading.Event, enqueue: Callable[..., int]) -> int:
    total = 0
    while not stop.is_set():
        with container.database.transaction() as session:
            count = enqueue(session, now=container.clock())
        if not count:
            break
        total += count
    return total

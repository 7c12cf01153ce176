"""Writes down the notices about annual pledges that are soon to be paid again; another job sends them."""

import threading
from collections import Counter
from collections.abc import Mapping

import structlog
from sqlalchemy.orm import Session

from jobs.email_dispatcher import EmailDispatcher, run_dispatchers
from jobs.email_queue import NOTIFICATION_LOG_EVENTS, NotificationQueue
from service.container import Container
from service.domain.notifications.delivery import recover_expired_notification_leases as settle_lost
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


def send_notifications(container: Container, stop: threading.Event) -> Mapping[str, int] | None:
    """Send what is due, links to sign in first; return how many notices came to which end.

    None while a mail server that was away is left alone.

    Raises:
        ServerUnavailable, ServerMisconfigured: no mail can leave; what was not sent waits, at no cost to it.
    """
    holds_doubtful = container.settings.mail.hold_uncertain

    def take_up(session: Session) -> Counter[str]:
        return settle_lost(
            session, holds_doubtful=holds_doubtful, now=container.clock(), worker=container.worker_id
        )

    dispatcher = EmailDispatcher(
        container, container.notification_mailer, NotificationQueue(container, stop), stop
    )
    return run_dispatchers(container, [dispatcher], events=NOTIFICATION_LOG_EVENTS, recover_own_leases=take_up)


def recover_expired_notification_leases(container: Container, stop: threading.Event) -> Mapping[str, int]:
    """Settle every notice whose worker vanished, by what is on record of it; return how many came to which end."""
    counts: Counter[str] = Counter()
    while not stop.is_set():
        with container.database.transaction() as session:
            some = settle_lost(
                session, holds_doubtful=container.settings.mail.hold_uncertain, now=container.clock()
            )
        if not some:
            break
        counts.update(some)
    if counts:
        log.warning("lost_notices_returned", **counts)
    return counts

"""Sends due notifications, recovers those whose worker died, and enqueues the ones about renewals."""

import threading
from collections import Counter
from collections.abc import Mapping

import structlog
from sqlalchemy.orm import Session

from jobs.email_dispatcher import EmailDispatcher, run_dispatchers
from jobs.email_queue import NOTIFICATION_LOG_EVENTS, NotificationQueue
from service.container import Container
from service.domain.notifications import delivery
from service.domain.notifications.renewals import enqueue_renewal_notifications

log = structlog.get_logger()


def send_notifications(container: Container, stop: threading.Event) -> Mapping[str, int] | None:
    """Send due notifications, sign-in links first; return counts by outcome, or None while the breaker is open.

    Raises:
        ServerUnavailable, ServerMisconfigured: no email can be sent. Unsent ones stay due and lose no attempt.
    """
    hold_uncertain = container.settings.mail.hold_uncertain

    def recover_own_leases(session: Session) -> Counter[str]:
        return delivery.recover_expired_notification_leases(
            session, hold_uncertain=hold_uncertain, now=container.clock(), worker=container.worker_id
        )

    dispatcher = EmailDispatcher(
        container, container.notification_mailer, NotificationQueue(container, stop), stop
    )
    return run_dispatchers(
        container, [dispatcher], events=NOTIFICATION_LOG_EVENTS, recover_own_leases=recover_own_leases
    )


def recover_expired_notification_leases(container: Container, stop: threading.Event) -> Mapping[str, int]:
    """Complete every notification whose lease has expired, by its record; return counts by outcome.

    It leaves them alone while the database was away just now, because their owners may live.
    """
    if not container.database_contact.is_steady:
        return {}
    counts: Counter[str] = Counter()
    while not stop.is_set():
        with container.database.transaction() as session:
            recovered = delivery.recover_expired_notification_leases(
                session, hold_uncertain=container.settings.mail.hold_uncertain, now=container.clock()
            )
        if not recovered:
            break
        counts.update(recovered)
    if counts:
        log.warning("lost_notices_returned", **counts)
    return counts


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

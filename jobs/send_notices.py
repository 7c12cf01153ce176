"""Sends receipts, links to sign in and the other notices, over a connection that waits for no reminder."""

import threading
from collections import Counter
from collections.abc import Mapping

import structlog
from sqlalchemy.orm import Session

from jobs.carrier import EmailDispatcher
from jobs.mail_events import NOTIFICATION_LOG_EVENTS
from jobs.notice_books import NotificationQueue
from jobs.rounds import run_dispatchers
from service.container import Container
from service.domain.notifications.delivery import recover_expired_notification_leases as settle_lost

log = structlog.get_logger()


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

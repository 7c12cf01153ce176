"""Sends due reminders, and recovers those whose worker died."""

import threading
from collections import Counter
from collections.abc import Mapping

import structlog
from sqlalchemy.orm import Session

from jobs.email_dispatcher import EmailDispatcher, run_dispatchers
from jobs.email_queue import REMINDER_LOG_EVENTS, ReminderQueue, delivery_policy
from service.container import Container
from service.domain.reminders.delivery import recover_expired_leases

log = structlog.get_logger()


def send_reminders(container: Container, stop: threading.Event) -> Mapping[str, int] | None:
    """Send due reminders, oldest first; return counts by outcome, or None while the circuit breaker is open.

    Raises:
        ServerUnavailable, ServerMisconfigured: no email can be sent. Unsent ones stay due and lose no attempt.
    """

    def recover_own_leases(session: Session) -> Counter[str]:
        return recover_expired_leases(
            session, policy=delivery_policy(container), now=container.clock(), worker=container.worker_id
        )

    dispatchers = [
        EmailDispatcher(container, mailer, ReminderQueue(container, stop), stop)
        for mailer in container.reminder_mailers
    ]
    return run_dispatchers(
        container, dispatchers, events=REMINDER_LOG_EVENTS, recover_own_leases=recover_own_leases
    )


def recover_expired_reminder_leases(container: Container, stop: threading.Event) -> Mapping[str, int]:
    """Complete every reminder whose lease has expired, by its delivery record; return counts by outcome.

    It leaves them alone while the database was away just now, because their owners may live.
    """
    if not container.database_contact.is_steady:
        return {}
    counts: Counter[str] = Counter()
    while not stop.is_set():
        with container.database.transaction() as session:
            recovered = recover_expired_leases(session, policy=delivery_policy(container), now=container.clock())
        if not recovered:
            break
        counts.update(recovered)
    if counts:
        log.warning("lost_reminders_returned", **counts)
    return counts

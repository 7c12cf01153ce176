"""Takes up reminders whose worker vanished, by what is on record of their mails."""

import threading
from collections import Counter
from collections.abc import Mapping

import structlog
from sqlalchemy.orm import Session

from jobs.email_dispatcher import EmailDispatcher, run_dispatchers
from jobs.email_queue import REMINDER_LOG_EVENTS, ReminderQueue, delivery_policy
from service.container import Container
from service.domain.reminders import delivery as settling
from service.domain.reminders.delivery import recover_expired_leases

log = structlog.get_logger()


def recover_expired_reminder_leases(container: Container, stop: threading.Event) -> Mapping[str, int]:
    """Settle every reminder whose lease has ended; return how many came to which end."""
    counts: Counter[str] = Counter()
    while not stop.is_set():
        with container.database.transaction() as session:
            some = settling.recover_expired_leases(
                session, rules=delivery_policy(container), now=container.clock()
            )
        if not some:
            break
        counts.update(some)
    if counts:
        log.warning("lost_reminders_returned", **counts)
    return counts


def send_reminders(container: Container, stop: threading.Event) -> Mapping[str, int] | None:
    """Send what is due, the longest due first; return how many reminders came to which end.

    None while a mail server that was away is left alone.

    Raises:
        ServerUnavailable, ServerMisconfigured: no mail can leave; what was not sent waits, at no cost to it.
    """

    def take_up(session: Session) -> Counter[str]:
        return recover_expired_leases(
            session, rules=delivery_policy(container), now=container.clock(), worker=container.worker_id
        )

    dispatchers = [
        EmailDispatcher(container, mailer, ReminderQueue(container, stop), stop)
        for mailer in container.reminder_mailers
    ]
    return run_dispatchers(container, dispatchers, events=REMINDER_LOG_EVENTS, recover_own_leases=take_up)
